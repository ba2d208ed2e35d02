//! Which keys an object of each type may have, and what they take: the options that a running
//! Asterisk 22 accepts (tests/pjsip asks one). One that it does not know rejects the whole object.

use Kind::{Codecs, CodecsOrNone, Contacts, Identify, Number, One, OneOrBool, Text, Variable};

use super::super::callerid::strip;
use super::super::codecs;
use super::super::options::{is_false, is_true};
use crate::base::nearest::nearest;

/// What a key takes; anything else rejects the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any text (where Asterisk asks for more, no phone depends on it).
    Text,
    /// A number of 32 bits: decimal, `0x…` or octal with a leading 0.
    Number,
    /// One of these words, in any case.
    One(&'static [&'static str]),
    /// One of these words, or any word for yes or no.
    OneOrBool(&'static [&'static str]),
    /// A list of formats, not an empty one.
    Codecs,
    /// A list of formats, or nothing.
    CodecsOrNone,
    /// A list of ways to identify an endpoint.
    Identify,
    /// `name=value`.
    Variable,
    /// A list of SIP URIs.
    Contacts,
}

/// The types of objects that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Type {
    Endpoint,
    Auth,
    Aor,
    Transport,
    Global,
    Phoneprov,
}

impl Type {
    pub(super) const ALL: [Self; 6] =
        [Self::Endpoint, Self::Auth, Self::Aor, Self::Transport, Self::Global, Self::Phoneprov];

    /// As `type=` names it, in this case.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Auth => "auth",
            Self::Aor => "aor",
            Self::Transport => "transport",
            Self::Global => "global",
            Self::Phoneprov => "phoneprov",
        }
    }

    /// The type that the value of `type=` names; its case counts.
    pub(super) fn named(value: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word().as_bytes() == value)
    }

    /// The keys, sorted; none where any key is taken.
    fn keys(self) -> Option<&'static [(&'static str, Kind)]> {
        match self {
            Self::Endpoint => Some(ENDPOINT),
            Self::Auth => Some(AUTH),
            Self::Aor => Some(AOR),
            Self::Transport => Some(TRANSPORT),
            Self::Global => Some(GLOBAL),
            Self::Phoneprov => None,
        }
    }

    /// What a key takes; none for one that rejects the object. Keys that begin with `@` are anybody's.
    pub(super) fn kind(self, key: &str) -> Option<Kind> {
        let Some(keys) = self.keys() else { return Some(Text) };
        if key.starts_with('@') {
            return Some(Text);
        }
        let find = |key: &str| keys.binary_search_by(|(known, _)| (*known).cmp(key)).ok();
        let at = if key.bytes().any(|b| b.is_ascii_uppercase()) {
            find(&key.to_ascii_lowercase())
        } else {
            find(key)
        };
        at.map(|at| keys[at].1)
    }

    /// The known key that an unknown one was probably meant to be.
    pub(super) fn nearest(self, key: &str) -> Option<&'static str> {
        let long = key.len() > 80;
        let keys = self.keys().filter(|_| !long)?;
        nearest(key, keys.iter().map(|(known, _)| *known))
    }
}

impl Kind {
    /// Whether Asterisk takes this value.
    pub(super) fn takes(self, value: &str) -> bool {
        let word = |words: &[&str]| words.iter().any(|w| value.eq_ignore_ascii_case(w));
        match self {
            Text => true,
            Number => number(value).is_some(),
            One(words) => word(words),
            OneOrBool(words) => word(words) || is_true(value) || is_false(value),
            Codecs => formats(value),
            CodecsOrNone => value.is_empty() || formats(value),
            Identify => {
                items(value).all(|item| IDENTIFY.iter().any(|way| item.eq_ignore_ascii_case(way)))
            }
            Variable => value.contains('='),
            Contacts => items(value).all(|uri| {
                ["sip:", "sips:"]
                    .iter()
                    .any(|s| uri.get(..s.len()).is_some_and(|start| start.eq_ignore_ascii_case(s)))
            }),
        }
    }

    /// The word that an unknown value was probably meant to be.
    pub(super) fn nearest(self, value: &str) -> Option<&'static str> {
        let words = match self {
            One(words) | OneOrBool(words) => words,
            Identify => IDENTIFY,
            _ => return None,
        };
        nearest(value.get(..80).unwrap_or(value), words.iter().copied())
    }
}

/// The ways of `identify_by`.
const IDENTIFY: &[&str] = &["username", "auth_username", "ip", "header", "request_uri"];

/// The items of a list, without blanks around them and without empty ones.
pub(super) fn items(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(strip).filter(|item| !item.is_empty())
}

/// A whole number as C's `strtoul` reads it with any base, and nothing behind it.
pub(super) fn number(value: &str) -> Option<u32> {
    let digits = value.strip_prefix('+').unwrap_or(value);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    match hex {
        Some(hex) if !hex.starts_with('+') => u32::from_str_radix(hex, 16).ok(),
        None if digits.len() > 1 && digits.starts_with('0') => u32::from_str_radix(digits, 8).ok(),
        _ => digits.parse().ok(),
    }
}

/// Whether every item of a list is a format; unlike chan_sip's, an empty item is none.
fn formats(value: &str) -> bool {
    let empty = value.split([',', '|']).any(|item| strip(item).is_empty());
    !empty && codecs::update(&mut codecs::Codecs::new(), value, true).is_empty()
}

/// The keys of `type=endpoint`.
static ENDPOINT: &[(&str, Kind)] = &[
    ("100rel", OneOrBool(&["no", "required", "peer_supported", "yes"])),
    ("accept_multiple_sdp_answers", Text),
    ("accountcode", Text),
    ("acl", Text),
    ("aggregate_mwi", Text),
    ("allow", Codecs),
    ("allow_overlap", Text),
    ("allow_subscribe", Text),
    ("allow_transfer", Text),
    ("allow_unauthenticated_options", Text),
    ("aors", Text),
    ("asymmetric_rtp_codec", Text),
    ("auth", Text),
    ("bind_rtp_to_media_address", Text),
    ("bundle", Text),
    ("call_group", Text),
    ("callerid", Text),
    ("callerid_privacy", Text),
    ("callerid_tag", Text),
    ("codec_prefs_incoming_answer", Text),
    ("codec_prefs_incoming_offer", Text),
    ("codec_prefs_outgoing_answer", Text),
    ("codec_prefs_outgoing_offer", Text),
    ("connected_line_method", One(&["invite", "reinvite", "update"])),
    ("contact_acl", Text),
    ("contact_deny", Text),
    ("contact_permit", Text),
    ("contact_user", Text),
    ("context", Text),
    ("cos_audio", Number),
    ("cos_video", Number),
    ("deny", Text),
    ("device_state_busy_at", Number),
    ("direct_media", Text),
    ("direct_media_glare_mitigation", One(&["none", "outgoing", "incoming"])),
    ("direct_media_method", One(&["invite", "reinvite", "update"])),
    ("disable_direct_media_on_nat", Text),
    ("disallow", CodecsOrNone),
    ("dtls_auto_generate_cert", Text),
    ("dtls_ca_file", Text),
    ("dtls_ca_path", Text),
    ("dtls_cert_file", Text),
    ("dtls_cipher", Text),
    ("dtls_fingerprint", Text),
    ("dtls_private_key", Text),
    ("dtls_rekey", Text),
    ("dtls_setup", Text),
    ("dtls_verify", Text),
    ("dtmf_mode", One(&["rfc4733", "inband", "info", "auto", "auto_info", "none"])),
    ("fax_detect", Text),
    ("fax_detect_timeout", Number),
    ("follow_early_media_fork", Text),
    ("follow_redirect_methods", Text),
    ("force_avp", Text),
    ("force_rport", Text),
    ("from_domain", Text),
    ("from_user", Text),
    ("g726_non_standard", Text),
    ("geoloc_incoming_call_profile", Text),
    ("geoloc_outgoing_call_profile", Text),
    ("ice_support", Text),
    ("identify_by", Identify),
    ("ignore_183_without_sdp", Text),
    ("inband_progress", Text),
    ("incoming_call_offer_pref", One(&["local", "local_first", "remote", "remote_first"])),
    ("incoming_mwi_mailbox", Text),
    ("language", Text),
    ("mailboxes", Text),
    ("max_audio_streams", Number),
    ("max_video_streams", Number),
    ("media_address", Text),
    ("media_encryption", One(&["no", "sdes", "dtls"])),
    ("media_encryption_optimistic", Text),
    ("media_use_received_transport", Text),
    ("message_context", Text),
    ("moh_passthrough", Text),
    ("moh_suggest", Text),
    ("mwi_from_user", Text),
    ("mwi_subscribe_replaces_unsolicited", Text),
    ("named_call_group", Text),
    ("named_pickup_group", Text),
    ("notify_early_inuse_ringing", Text),
    ("one_touch_recording", Text),
    ("outbound_auth", Text),
    ("outbound_proxy", Text),
    (
        "outgoing_call_offer_pref",
        One(&["local", "local_merge", "local_first", "remote", "remote_merge", "remote_first"]),
    ),
    ("overlap_context", Text),
    ("permit", Text),
    ("pickup_group", Text),
    ("preferred_codec_only", Text),
    ("record_off_feature", Text),
    ("record_on_feature", Text),
    ("redirect_method", One(&["user", "uri_core", "uri_pjsip"])),
    ("refer_blind_progress", Text),
    ("rewrite_contact", Text),
    ("rpid_immediate", Text),
    ("rtcp_mux", Text),
    ("rtp_engine", Text),
    ("rtp_ipv6", Text),
    ("rtp_keepalive", Number),
    ("rtp_port_end", Text),
    ("rtp_port_start", Text),
    ("rtp_symmetric", Text),
    ("rtp_timeout", Number),
    ("rtp_timeout_hold", Number),
    ("sdp_owner", Text),
    ("sdp_session", Text),
    ("security_mechanisms", Text),
    ("security_negotiation", One(&["no", "mediasec"])),
    ("send_aoc", Text),
    ("send_connected_line", Text),
    ("send_diversion", Text),
    ("send_history_info", Text),
    ("send_pai", Text),
    ("send_rpid", Text),
    ("set_var", Variable),
    ("srtp_tag_32", Text),
    ("stir_shaken", Text),
    ("stir_shaken_profile", Text),
    ("sub_min_expiry", Number),
    ("subscribe_context", Text),
    ("suppress_moh_on_sendonly", Text),
    ("suppress_q850_reason_headers", Text),
    ("t38_bind_udptl_to_media_address", Text),
    ("t38_udptl", Text),
    ("t38_udptl_ec", One(&["none", "fec", "redundancy"])),
    ("t38_udptl_ipv6", Text),
    ("t38_udptl_maxdatagram", Number),
    ("t38_udptl_nat", Text),
    ("tenantid", Text),
    ("timers", OneOrBool(&["no", "yes", "required", "always", "forced"])),
    ("timers_min_se", Text),
    ("timers_sess_expires", Text),
    ("tone_zone", Text),
    ("tos_audio", Text),
    ("tos_video", Text),
    ("transport", Text),
    ("trust_connected_line", Text),
    ("trust_id_inbound", Text),
    ("trust_id_outbound", Text),
    ("type", Text),
    ("use_avpf", Text),
    ("use_ptime", Text),
    ("user_eq_phone", Text),
    ("voicemail_extension", Text),
    ("webrtc", Text),
];
/// The keys of `type=auth`.
static AUTH: &[(&str, Kind)] = &[
    ("auth_type", One(&["userpass", "md5", "google_oauth", "digest"])),
    ("md5_cred", Text),
    ("nonce_lifetime", Number),
    ("oauth_clientid", Text),
    ("oauth_secret", Text),
    ("password", Text),
    ("password_digest", Text),
    ("realm", Text),
    ("refresh_token", Text),
    ("supported_algorithms_uac", Text),
    ("supported_algorithms_uas", Text),
    ("type", Text),
    ("username", Text),
];
/// The keys of `type=aor`.
static AOR: &[(&str, Kind)] = &[
    ("authenticate_qualify", Text),
    ("contact", Contacts),
    ("default_expiration", Number),
    ("mailboxes", Text),
    ("max_contacts", Number),
    ("maximum_expiration", Number),
    ("minimum_expiration", Number),
    ("outbound_proxy", Text),
    ("qualify_2xx_only", Text),
    ("qualify_frequency", Number),
    ("qualify_timeout", Text),
    ("remove_existing", Text),
    ("remove_unavailable", Text),
    ("support_path", Text),
    ("type", Text),
    ("voicemail_extension", Text),
];
/// The keys of `type=transport`.
static TRANSPORT: &[(&str, Kind)] = &[
    ("allow_reload", Text),
    ("allow_wildcard_certs", Text),
    ("async_operations", Text),
    ("bind", Text),
    ("ca_list_file", Text),
    ("ca_list_path", Text),
    ("cert_file", Text),
    ("cipher", Text),
    ("cos", Text),
    ("domain", Text),
    ("external_media_address", Text),
    ("external_signaling_address", Text),
    ("external_signaling_port", Text),
    ("local_net", Text),
    ("method", Text),
    ("password", Text),
    ("priv_key_file", Text),
    ("protocol", Text),
    ("require_client_cert", Text),
    ("symmetric_transport", Text),
    ("tcp_keepalive_enable", Text),
    ("tcp_keepalive_idle_time", Text),
    ("tcp_keepalive_interval_time", Text),
    ("tcp_keepalive_probe_count", Text),
    ("tos", Text),
    ("type", Text),
    ("verify_client", Text),
    ("verify_server", Text),
    ("websocket_write_timeout", Text),
];
/// The keys of `type=global`.
static GLOBAL: &[(&str, Kind)] = &[
    ("all_codecs_on_empty_reinvite", Text),
    ("allow_sending_180_after_183", Text),
    ("contact_expiration_check_interval", Text),
    ("debug", Text),
    ("default_auth_algorithms_uac", Text),
    ("default_auth_algorithms_uas", Text),
    ("default_from_user", Text),
    ("default_outbound_endpoint", Text),
    ("default_realm", Text),
    ("default_voicemail_extension", Text),
    ("disable_multi_domain", Text),
    ("endpoint_identifier_order", Text),
    ("ignore_uri_user_options", Text),
    ("keep_alive_interval", Text),
    ("max_forwards", Text),
    ("max_initial_qualify_time", Text),
    ("mwi_disable_initial_unsolicited", Text),
    ("mwi_tps_queue_high", Text),
    ("mwi_tps_queue_low", Text),
    ("norefersub", Text),
    ("regcontext", Text),
    ("send_contact_status_on_update_registration", Text),
    ("taskprocessor_overload_trigger", Text),
    ("type", Text),
    ("unidentified_request_count", Text),
    ("unidentified_request_period", Text),
    ("unidentified_request_prune_interval", Text),
    ("use_callerid_contact", Text),
    ("user_agent", Text),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_in_lower_case() {
        for kind in Type::ALL {
            let keys = kind.keys().unwrap_or_default();
            assert!(keys.windows(2).all(|two| two[0].0 < two[1].0), "{kind:?}");
            assert!(keys.iter().all(|(key, _)| *key == key.to_ascii_lowercase()), "{kind:?}");
        }
    }

    #[test]
    fn keys_count_without_case_and_extended_ones_are_always_known() {
        assert_eq!(Type::Endpoint.kind("AllOw"), Some(Codecs));
        assert_eq!(Type::Endpoint.kind("@Mac"), Some(Text));
        assert_eq!(Type::Phoneprov.kind("ANYTHING"), Some(Text));
        assert_eq!(Type::Aor.kind("username"), None);
        assert_eq!(Type::Endpoint.nearest("alow"), Some("allow"));
    }

    #[test]
    fn numbers_are_read_in_every_base() {
        let read = ["7", "+5", "0x10", "010", "0"].map(number);
        assert_eq!(read, [Some(7), Some(5), Some(16), Some(8), Some(0)]);
        for bad in ["", "-1", "5x", "5 x", "4294967296", "1.5", "a,b", "0x", "09", "0x+1", "++1"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }

    #[test]
    fn values_are_taken_as_a_running_asterisk_22_takes_them() {
        let check = |key: &str, good: &[&str], bad: &[&str]| {
            let kind = Type::Endpoint.kind(key).or(Type::Aor.kind(key)).unwrap();
            good.iter().for_each(|v| assert!(kind.takes(v), "{key}={v}"));
            bad.iter().for_each(|v| assert!(!kind.takes(v), "{key}={v}"));
        };
        let good = ["!all,ulaw", "none", "ulaw:20,alaw", "ulaw|alaw", "all"];
        check(
            "allow",
            &good,
            &["", " ", "ulaw,bogus", "ulaw&alaw", "ulaw,,alaw", "ulaw:x", "!bogus"],
        );
        check("dtmf_mode", &["RFC4733", "none", "auto_info"], &["rfc2833", ""]);
        check("timers", &["Yes", "forced", "NO", "1", "true"], &["", "bogus", "7"]);
        check("media_encryption", &["SDES", "no"], &["false", "yes", ""]);
        check("identify_by", &["", "ip,username", "USERNAME", "username,,ip"], &["transport"]);
        check("set_var", &["A=", "=b"], &["A"]);
        check("contact", &["", "sip:1@2", "sip:a@b, SIPS:c@d"], &["a@b", "sip:a@b,c"]);
    }
}
