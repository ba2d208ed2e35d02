//! Keys that chan_sip passes over in silence. The tables are what `build_peer` and `reload_config` of
//! chan_sip 13 to 20 ask for, with the keys of call completion and DTLS that they hand on.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::base::nearest::nearest;
use crate::base::{Code, Diagnostic};
use crate::conf::{Conf, Entry, Lineages};
use crate::model::tag::Tag;

pub(super) static UNKNOWN: Code = Code {
    id: "H0463",
    title: "a key that chan_sip does not know",
    explain: "Asterisk passes over keys that it does not know and says nothing, so that a slip in the \
              name leaves the default in force.",
};

pub(super) static GENERAL: Code = Code {
    id: "H0464",
    title: "a key that counts only in [general]",
    explain: "chan_sip reads this key in [general] and passes over it in a peer.",
};

pub(super) static OTHER: Code = Code {
    id: "H0465",
    title: "a key of pjsip.conf",
    explain: "chan_pjsip knows this key, chan_sip does not and passes over it; the two spell many \
              settings differently.",
};

/// Longer names are no slips.
const LONGEST: usize = 40;

/// The keys that no peer has, in the sections that carry a tag; one in a template is told of once.
pub(super) fn unknown(sip: &Conf, tags: &[Option<Arc<Tag>>]) -> Vec<Diagnostic> {
    let words: HashSet<&[u8]> = [PEER, BESIDE].concat().into_iter().map(str::as_bytes).collect();
    let strange = |entry: &&Entry| !known(&words, entry);
    let mut shared = Lineages::default();
    let mut told = BTreeSet::new();
    let mut notes = Vec::new();
    let tagged = sip.sections.iter().zip(tags).filter(|(_, tag)| tag.is_some());
    for entries in tagged.map(|(section, _)| &section.entries) {
        let shared: &Vec<_> = shared.of(entries, |shared| shared.filter(strange).collect());
        let own = entries.own().iter().filter(strange);
        let all = shared.iter().copied().chain(own);
        notes.extend(all.filter(|entry| told.insert(entry.name_span)).map(note));
    }
    notes
}

fn known(words: &HashSet<&[u8]>, entry: &Entry) -> bool {
    // `@…` is anybody's, as in pjsip.conf.
    let name = entry.name.as_bytes();
    let free = name.first().is_none_or(|first| *first == b'@');
    // Nearly every name is written in lower case: only the others are copied.
    free || words.contains(name)
        || name.iter().any(u8::is_ascii_uppercase)
            && words.contains(name.to_ascii_lowercase().as_slice())
}

/// Whether a sorted table has the name, in any case.
fn has(words: &[&str], entry: &Entry) -> bool {
    let name = entry.name.as_bytes().to_ascii_lowercase();
    words.binary_search_by(|word| word.as_bytes().cmp(&name)).is_ok()
}

fn note(entry: &Entry) -> Diagnostic {
    let name = entry.name.chars();
    if has(GENERAL_ONLY, entry) {
        let text = format!("chan_sip reads `{name}` in [general] only");
        let note = Diagnostic::note(&GENERAL, text).at(entry.name_span);
        return note.help("move it to [general]");
    }
    if let Some((_, ours)) = PJSIP.iter().find(|(theirs, _)| entry.name.is(theirs)) {
        let text = format!("`{name}` is a key of pjsip.conf, which chan_sip does not know");
        let note = Diagnostic::note(&OTHER, text).at(entry.name_span);
        return note.help(format!("write `{ours}`"));
    }
    let text = format!("chan_sip does not know the key `{name}` and passes over it");
    let note = Diagnostic::note(&UNKNOWN, text).at(entry.name_span);
    let near = (name.len() <= LONGEST).then(|| nearest(&name, PEER.iter().copied())).flatten();
    match near {
        Some(near) => note.help(format!("did you mean `{near}`?")),
        None => note.help("take it away, or write a comment"),
    }
}

/// What a peer may have.
static PEER: &[&str] = &[
    "accountcode",
    "acl",
    "allow",
    "allowoverlap",
    "allowsubscribe",
    "allowtransfer",
    "amaflags",
    "auth",
    "autoframing",
    "avpf",
    "buggymwi",
    "busylevel",
    "call-limit",
    "callbackextension",
    "callcounter",
    "callerid",
    "callgroup",
    "callingpres",
    "canreinvite",
    "cc_agent_dialstring",
    "cc_agent_policy",
    "cc_callback_macro",
    "cc_callback_sub",
    "cc_max_agents",
    "cc_max_monitors",
    "cc_monitor_policy",
    "cc_offer_timer",
    "cc_recall_timer",
    "ccbs_available_timer",
    "ccnr_available_timer",
    "cid_number",
    "cid_tag",
    "contactacl",
    "contactdeny",
    "contactpermit",
    "context",
    "defaultip",
    "defaultuser",
    "deny",
    "description",
    "directmedia",
    "directmediaacl",
    "directmediadeny",
    "directmediapermit",
    "disallow",
    "disallowed_methods",
    "discard_remote_hold_retrieval",
    "dtlsautogeneratecert",
    "dtlscadir",
    "dtlscafile",
    "dtlscapath",
    "dtlscertfile",
    "dtlscipher",
    "dtlsenable",
    "dtlsfingerprint",
    "dtlsprivatekey",
    "dtlsrekey",
    "dtlssetup",
    "dtlsverify",
    "dtmfmode",
    "encryption",
    "encryption_taglen",
    "faxdetect",
    "force_avp",
    "fromdomain",
    "fromuser",
    "fullname",
    "g726nonstandard",
    "hasvoicemail",
    "header",
    "host",
    "icesupport",
    "ignore_requested_pref",
    "ignoresdpversion",
    "insecure",
    "keepalive",
    "language",
    "mailbox",
    "maxcallbitrate",
    "maxforwards",
    "md5secret",
    "messagecontext",
    "mohinterpret",
    "mohsuggest",
    "mwi_from",
    "namedcallgroup",
    "namedpickupgroup",
    "nat",
    "outboundproxy",
    "outofcall_message_context",
    "parkinglot",
    "permit",
    "pickupgroup",
    "port",
    "preferred_codec_only",
    "progressinband",
    "promiscredir",
    "qualify",
    "qualifyfreq",
    "recordofffeature",
    "recordonfeature",
    "regexten",
    "remotesecret",
    "rfc2833compensate",
    "rpid_immediate",
    "rpid_update",
    "rtcp_mux",
    "rtp_engine",
    "rtpholdtimeout",
    "rtpkeepalive",
    "rtptimeout",
    "secret",
    "sendrpid",
    "session-expires",
    "session-minse",
    "session-refresher",
    "session-timers",
    "setvar",
    "snom_aoc_enabled",
    "subscribecontext",
    "subscribemwi",
    "supportpath",
    "t38pt_udptl",
    "t38pt_usertpsource",
    "textsupport",
    "timerb",
    "timert1",
    "tonezone",
    "transport",
    "trunkname",
    "trust_id_outbound",
    "trustrpid",
    "type",
    "unsolicited_mailbox",
    "use_q850_reason",
    "useclientcode",
    "usereqphone",
    "username",
    "videosupport",
    "vmexten",
];

/// What chan_sip does not know and a peer has for good reason: keys that tie it to a phone
/// (asterisk-conf.md §2.4), and those of users.conf.
static BESIDE: &[&str] = &[
    "alternateexts",
    "autoprov",
    "callwaiting",
    "email",
    "hasagent",
    "hasdirectory",
    "hash323",
    "hasiax",
    "hasmanager",
    "hassip",
    "hidecallerid",
    "label",
    "linekeys",
    "linenumber",
    "macaddress",
    "model",
    "profile",
    "registersip",
    "threewaycalling",
    "vmsecret",
];

/// What chan_sip reads in `[general]` and nowhere else.
static GENERAL_ONLY: &[&str] = &[
    "accept_outofcall_message",
    "allowexternaldomains",
    "allowguest",
    "alwaysauthreject",
    "auth_message_requests",
    "auth_options_requests",
    "authfailureevents",
    "autocreatepeer",
    "autodomain",
    "bindaddr",
    "bindport",
    "compactheaders",
    "cos_audio",
    "cos_sip",
    "cos_text",
    "cos_video",
    "defaultexpirey",
    "defaultexpiry",
    "directrtpsetup",
    "domain",
    "domainsasrealm",
    "dumphistory",
    "dynamic_exclude_static",
    "dynamic_excludes_static",
    "externaddr",
    "externhost",
    "externip",
    "externrefresh",
    "externtcpport",
    "externtlsport",
    "ignoreregexpire",
    "jbenable",
    "jbforce",
    "jbimpl",
    "jblog",
    "jbmaxsize",
    "jbresyncthreshold",
    "jbtargetextra",
    "legacy_useroption_parsing",
    "localnet",
    "match_auth_username",
    "matchexternaddrlocally",
    "matchexterniplocally",
    "maxexpirey",
    "maxexpiry",
    "media_address",
    "minexpirey",
    "minexpiry",
    "mwi",
    "mwiexpirey",
    "mwiexpiry",
    "notifycid",
    "notifyhold",
    "notifymimetype",
    "notifyringing",
    "pedantic",
    "prematuremedia",
    "qualifygap",
    "qualifypeers",
    "realm",
    "recordhistory",
    "refer_addheaders",
    "regcontext",
    "regextenonqualify",
    "register",
    "register_retry_403",
    "registerattempts",
    "registertimeout",
    "relaxdtmf",
    "rtautoclear",
    "rtcachefriends",
    "rtpbindaddr",
    "rtsavepath",
    "rtsavesysname",
    "rtupdate",
    "sdpowner",
    "sdpsession",
    "send_diversion",
    "shrinkcallerid",
    "sipdebug",
    "srvlookup",
    "sslbindaddr",
    "sslenable",
    "storesipcause",
    "stunaddr",
    "submaxexpirey",
    "submaxexpiry",
    "subminexpirey",
    "subminexpiry",
    "subscribe_network_change_event",
    "t1min",
    "tcpauthlimit",
    "tcpauthtimeout",
    "tcpbindaddr",
    "tcpenable",
    "tlsbindaddr",
    "tlscadir",
    "tlscafile",
    "tlscapath",
    "tlscertfile",
    "tlscipher",
    "tlsclientmethod",
    "tlsdontverifyserver",
    "tlsenable",
    "tlsprivatekey",
    "tlsverifyclient",
    "tos_audio",
    "tos_sip",
    "tos_text",
    "tos_video",
    "udpbindaddr",
    "useragent",
    "websocket_enabled",
    "websocket_write_timeout",
];

/// Keys of pjsip.conf with what chan_sip has for them.
static PJSIP: &[(&str, &str)] = &[
    ("aors", "host=dynamic"),
    ("call_group", "callgroup"),
    ("direct_media", "directmedia"),
    ("dtmf_mode", "dtmfmode"),
    ("force_rport", "nat=force_rport"),
    ("from_domain", "fromdomain"),
    ("from_user", "fromuser"),
    ("mailboxes", "mailbox"),
    ("media_encryption", "encryption"),
    ("moh_suggest", "mohsuggest"),
    ("named_call_group", "namedcallgroup"),
    ("named_pickup_group", "namedpickupgroup"),
    ("outbound_proxy", "outboundproxy"),
    ("password", "secret"),
    ("pickup_group", "pickupgroup"),
    ("qualify_frequency", "qualifyfreq"),
    ("rtp_symmetric", "nat=comedia"),
    ("send_rpid", "sendrpid"),
    ("set_var", "setvar"),
    ("subscribe_context", "subscribecontext"),
    ("tone_zone", "tonezone"),
    ("trust_id_inbound", "trustrpid"),
    ("voicemail_extension", "vmexten"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_no_key_is_in_two() {
        let pjsip: Vec<&str> = PJSIP.iter().map(|(theirs, _)| *theirs).collect();
        let tables = [PEER, BESIDE, GENERAL_ONLY, &pjsip];
        assert!(tables.iter().all(|table| table.is_sorted_by(|a, b| a < b)));
        let all: BTreeSet<&str> = tables.iter().copied().flatten().copied().collect();
        assert_eq!(all.len(), tables.iter().map(|table| table.len()).sum::<usize>());
    }

    #[test]
    fn what_is_written_instead_of_a_pjsip_key_exists() {
        for (theirs, ours) in PJSIP {
            let key = ours.split('=').next().unwrap();
            assert!(PEER.contains(&key), "{theirs}");
        }
    }
}
