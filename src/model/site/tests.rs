use super::*;
use crate::model::testing;

const FAMILIES: [&str; 2] = ["cisco-79x0", "spa"];

fn read_all(text: &str) -> (Site, Vec<String>) {
    let file = testing::read(text);
    let (site, diagnostics) = read(&file.conf, Path::new("/srv/pbx/handset.conf"), &FAMILIES);
    let texts = file.short(&diagnostics);
    let helps = diagnostics.iter().map(|d| d.help.clone().unwrap_or_default());
    let both = texts.into_iter().zip(helps).map(|(text, help)| format!("{text} ({help})"));
    (site, both.collect())
}

fn good(text: &str) -> Site {
    let (site, texts) = read_all(text);
    assert_eq!(texts, [""; 0], "{text}");
    site
}

/// The one diagnostic of a text, without file and level.
fn check_bad(text: &str, expected: &str) {
    let (_, texts) = read_all(text);
    let texts: Vec<_> = texts.iter().map(|t| t.replacen("sip.conf:", "", 1)).collect();
    assert_eq!(texts, [expected], "{text}");
}

#[test]
fn an_empty_file_gives_the_defaults() {
    let site = good("");
    assert_eq!(site, Site::at(Path::new("/srv/pbx/handset.conf")));
    assert_eq!(site.site_key, Path::new("/srv/pbx/handset.key"));
    assert_eq!(site.families_dir, Path::new("/srv/pbx/families"));
    assert_eq!(Site::default().site_key, Path::new("/etc/asterisk/handset.key"));
}

#[test]
fn every_key_is_read() {
    let site = good(
        "[general]\nsip_conf=sip.conf\nserver_address=192.0.2.10\nstate_dir=/s\ncontrol_socket=c\n\
         export_dir=out\ntimezone=europe/berlin\nntp_server=ntp.example.org\npush=Manual\n\
         asterisk_reload=wait\nguard=lenient\ntrusted_nets=127.0.0.0/8, 2001:db8::/32\nsite_key=/k\ndefault_family=SPA\nfamilies_dir=f\n\
         [push]\nrate=2.5\nretry=0.5s\nretry_max=5m\nproof=2h\nunknown=90\ndirect=never\n\
         notify_from=192.0.2.1\n\
         [ami]\nhost=::1\nport=5039\nusername=u\nsecret=geheim\nlogin=plain\n\
         [tftp]\nlisten=127.0.0.1:6969\nroot=/srv/tftp\n[http]\nlisten=8080\n",
    );
    assert_eq!(site.sip_conf, Path::new("/srv/pbx/sip.conf"));
    assert_eq!(site.server_address.unwrap().to_string(), "192.0.2.10");
    assert_eq!(
        (site.state_dir.to_str(), site.control_socket.to_str()),
        (Some("/s"), Some("/srv/pbx/c"))
    );
    assert_eq!(site.export_dir.as_deref(), Some(Path::new("/srv/pbx/out")));
    assert_eq!(site.timezone.unwrap().as_str(), "Europe/Berlin");
    assert_eq!(site.ntp_server.as_ref().map(|s| s.value.as_str()), Some("ntp.example.org"));
    assert_eq!((site.push, site.reload), (PushMode::Manual, ReloadMode::Wait));
    let nets: Vec<String> = site.trusted_nets.iter().map(ToString::to_string).collect();
    assert_eq!(
        (site.guard, nets.join(" ")),
        (GuardMode::Lenient, "127.0.0.0/8 2001:db8::/32".into())
    );
    assert_eq!((site.site_key.to_str(), site.default_family.as_str()), (Some("/k"), "spa"));
    assert_eq!(site.families_dir, Path::new("/srv/pbx/f"));
    let pacing = Pacing {
        rate: 2.5,
        retry: Duration::from_millis(500),
        retry_max: Duration::from_secs(300),
        proof: Duration::from_secs(7200),
        unknown: Duration::from_secs(90),
        direct: DirectMode::Never,
    };
    assert_eq!(site.notify_from, "192.0.2.1:0".parse().unwrap());
    assert_eq!(site.pacing, pacing);
    let ami = site.ami.unwrap();
    assert_eq!((ami.host.as_str(), ami.port, ami.username.as_str()), ("::1", 5039, "u"));
    assert_eq!((ami.secret.reveal(), ami.md5), ("geheim", false));
    assert_eq!(site.tftp.listen, Some("127.0.0.1:6969".parse().unwrap()));
    assert_eq!(site.tftp.root.as_deref(), Some(Path::new("/srv/tftp")));
    assert_eq!(site.http.listen.unwrap().value, "0.0.0.0:8080".parse().unwrap());
}

#[test]
fn every_default_in_the_table_is_what_holds() {
    for key in KEYS.iter().filter(|key| key.default != "none") {
        let lines = if key.section == "ami" { "username=u\nsecret=s\n" } else { "" };
        let section = key.section.replace("NETWORK", "192.0.2.0/24");
        let with = good(&format!("[{section}]\n{lines}{}={}\n", key.name, key.default));
        let without = good(&format!("[{section}]\n{lines}"));
        assert_eq!(with, without, "{}", key.name);
    }
}

#[test]
fn listeners_can_be_off_or_have_the_usual_port() {
    assert_eq!(good("[tftp]\nlisten=off\n").tftp.listen, None);
    assert_eq!(good("[tftp]\nlisten=[::]:69\n").tftp.listen, Some("[::]:69".parse().unwrap()));
    assert_eq!(
        good("[tftp]\nlisten=192.0.2.1\n").tftp.listen,
        Some("192.0.2.1:69".parse().unwrap())
    );
}

#[test]
fn sections_of_families_and_profiles_take_any_key() {
    let site = good(
        "[cisco-79x0]\nfirmware=P0S3-8-12-00\ndefault_model=7960\nLogo_url=a\nlogo_URL=b\n\
         [Cisco-79x0/Lobby]\nlogo_url=c\n",
    );
    let family = &site.families["cisco-79x0"];
    assert_eq!(family.firmware.as_ref().unwrap().as_str(), "P0S3-8-12-00");
    let keys: Vec<_> = family.keys.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(keys, [("default_model", "7960"), ("logo_URL", "b")]);
    assert_eq!(site.families["cisco-79x0/lobby"].keys["logo_url"].as_str(), "c");
}

#[test]
fn unknown_keys_name_the_nearest_or_their_section() {
    check_bad(
        "[general]\nsever_adress=192.0.2.1\n",
        "2:1: error[H0301]: [general] has no key \"sever_adress\" (did you mean server_address?)",
    );
    check_bad(
        "[general]\nusername=x\n",
        "2:1: error[H0301]: [general] has no key \"username\" (it belongs into [ami])",
    );
    check_bad(
        "[http]\ncolour=blue\n",
        "2:1: error[H0301]: [http] has no key \"colour\" (handset.conf(5) lists all keys)",
    );
}

#[test]
fn unknown_sections_name_the_nearest() {
    check_bad(
        "[genral]\nx=1\n",
        "1:2: error[H0302]: handset.conf has no section [genral] (did you mean [general]?)",
    );
    check_bad(
        "[cisco-79xo]\nx=1\n",
        "1:2: error[H0302]: handset.conf has no section [cisco-79xo] (did you mean [cisco-79x0]?)",
    );
    check_bad(
        "[polycom/lobby]\n",
        "1:2: error[H0302]: handset.conf has no section [polycom/lobby] (handset.conf(5) lists all \
         sections)",
    );
    check_bad(
        "[spa/]\n",
        "1:2: error[H0302]: handset.conf has no section [spa/] (did you mean [spa]?)",
    );
}

#[test]
fn bad_values_are_errors_at_their_place_and_the_default_stays() {
    for (section, key, values) in [
        ("general", "server_address", &["", "0.0.0.0", "ff02::1", "pbx", "1.2.3.4:5"] as &[_]),
        ("general", "timezone", &["", "Europe/Berlim", "../etc/passwd", "CEST-1"]),
        ("general", "push", &["", "yes"]),
        ("general", "asterisk_reload", &["never"]),
        ("general", "sip_conf", &[""]),
        ("general", "ntp_server", &["", "a b", "ntp\u{e9}"]),
        ("general", "default_family", &["snom"]),
        ("push", "rate", &["0", "-1", "1e9", "inf", "nan", "", "1001"]),
        ("push", "retry", &["", "s", "-1", "1e3", "5w", "inf", "999999h", "1.2.3", "1 h 2"]),
        ("tftp", "listen", &["", "none", "pbx:69", "70000", "::1:"]),
        ("http", "listen", &["x"]),
        ("dhcp", "mode", &["on", ""]),
        ("dhcp", "interfaces", &["", "lo", "a/b", "eth0,", "sixteen-letters-"]),
        ("dhcp", "lease", &["29s", "0", "for ever"]),
        ("dhcp", "server", &["pbx", "::1", "255.255.255.255"]),
        ("dhcp", "watch", &["perhaps"]),
        ("dhcp", "snippet_kind", &["windows"]),
        ("dhcp", "snippet_reload", &["", "systemctl reload x"]),
        ("agi", "listen", &["x"]),
        ("agi", "token", &["", "short", "sixteen/letters+more"]),
        ("agi", "permit", &["pbx"]),
    ] {
        for value in values {
            let (site, texts) = read_all(&format!("[{section}]\n{key}={value}\n"));
            assert_eq!(texts.len(), 1, "{key}={value}: {texts:?}");
            // An empty value has no place of its own: its line is pointed at.
            let column = if value.is_empty() { 1 } else { key.len() + 2 };
            let place = format!("sip.conf:2:{column}: error[H0303]: {key}: ");
            assert!(texts[0].starts_with(&place), "{texts:?}");
            assert_eq!(site, good(""), "{key}={value}");
        }
    }
    check_bad(
        "[ami]\nusername=u\nsecret=s\nport=0\n",
        "4:6: error[H0303]: port: \"0\" is no port (write a number from 1 to 65535)",
    );
    check_bad(
        "[general]\ntimezone=Europe/Berlim\n",
        "2:10: error[H0303]: timezone: \"Europe/Berlim\" is no time zone (did you mean Europe/Berlin?)",
    );
}

#[test]
fn the_dhcp_service_and_its_scopes_are_read() {
    let site = good(
        "[dhcp]\nmode=Full\ninterfaces=eth0, eth1.20\nlease=1d\nauthoritative=no\nserver=192.0.2.9\n\
         watch=yes\nsnippet_file=out\nsnippet_kind=cisco-ios\nsnippet_reload=/bin/x -a  b\n\
         [DHCP 192.0.2.0/24]\npool=192.0.2.100-192.0.2.120, 192.0.2.9\nrouter=192.0.2.1\n\
         dns=192.0.2.2,192.0.2.3\ndomain=example.org\nlease=2h\nntp=192.0.2.4\nvlan=20\n\
         boot_server=192.0.2.5\nunknown=no\n[dhcp 198.51.100.0/25]\n",
    );
    let dhcp = &site.dhcp;
    assert_eq!(
        (dhcp.mode, dhcp.lease.as_secs(), dhcp.authoritative),
        (DhcpMode::Full, 86_400, false)
    );
    assert_eq!(dhcp.interfaces, ["eth0", "eth1.20"]);
    assert_eq!((dhcp.watch, dhcp.snippet_kind), (true, Some(SnippetKind::CiscoIos)));
    assert_eq!(dhcp.snippet_file.as_deref(), Some(Path::new("/srv/pbx/out")));
    assert_eq!(dhcp.snippet_reload, ["/bin/x", "-a", "b"]);
    let ip = |last| std::net::Ipv4Addr::new(192, 0, 2, last);
    assert_eq!(dhcp.server.as_ref().map(|server| server.value), Some(ip(9)));
    let [one, two] = &dhcp.scopes[..] else { panic!("{dhcp:?}") };
    assert_eq!(one.net.to_string(), "192.0.2.0/24");
    assert_eq!(one.pool, [(ip(100), ip(120)), (ip(9), ip(9))]);
    assert_eq!((&one.router[..], &one.dns[..]), (&[ip(1)][..], &[ip(2), ip(3)][..]));
    assert_eq!(
        (one.domain.as_deref(), one.lease),
        (Some("example.org"), Some(Duration::from_secs(7200)))
    );
    assert_eq!((&one.ntp[..], one.vlan, one.boot_server), (&[ip(4)][..], Some(20), Some(ip(5))));
    assert!(!one.unknown && two.unknown && two.pool.is_empty());
}

#[test]
fn scopes_that_cannot_work_are_errors_at_their_place() {
    let net = "[dhcp 192.0.2.0/24]\n";
    let inside = "write addresses of the section's network";
    for (text, expected) in [
        ("[dhcp 192.0.2.1/24]\n".to_owned(), "1:2: error[H0306]: \"192.0.2.1/24\" has bits behind its prefix: the network is 192.0.2.0/24 (write the network of the phones, as [dhcp 192.0.2.0/24])".to_owned()),
        ("[dhcp x]\npool=1\n".to_owned(), "1:2: error[H0306]: \"x\" is no IPv4 network (write the network of the phones, as [dhcp 192.0.2.0/24])".to_owned()),
        (format!("{net}pool=192.0.3.1-192.0.3.2\n"), format!("2:6: error[H0306]: the pool 192.0.3.1-192.0.3.2 does not lie in 192.0.2.0/24 ({inside})")),
        (format!("{net}pool=192.0.2.0-192.0.2.9\n"), format!("2:6: error[H0306]: the pool 192.0.2.0-192.0.2.9 does not lie in 192.0.2.0/24 ({inside})")),
        (format!("{net}pool=192.0.2.5-192.0.2.9,192.0.2.9\n"), "2:6: error[H0306]: two ranges of the pool have 192.0.2.9 in common (write each address once)".to_owned()),
        (format!("{net}router=192.0.3.1\n"), format!("2:8: error[H0306]: the router 192.0.3.1 does not lie in 192.0.2.0/24 ({inside})")),
        (format!("{net}[dhcp 192.0.2.128/25]\n"), "2:2: error[H0306]: the scopes 192.0.2.0/24 and 192.0.2.128/25 overlap (keep one of the two)".to_owned()),
        ("[dhcp]\nmode=full\n".to_owned(), "1:2: warning[H0307]: mode = full has no pool to give addresses from (add a section [dhcp NETWORK] with a pool, or write mode = phones)".to_owned()),
        ("[dhcp]\nsnippet_file=x\n".to_owned(), "1:2: warning[H0307]: snippet_file needs snippet_kind (add snippet_kind)".to_owned()),
    ] {
        check_bad(&text, &expected);
    }
}

#[test]
fn the_manager_account_must_be_whole() {
    for text in ["[ami]\n", "[ami]\nusername=u\n", "[ami]\nsecret=s\n"] {
        check_bad(
            text,
            "1:2: error[H0304]: [ami] needs username and secret (give those of an account in \
             Asterisk's manager.conf)",
        );
    }
    check_bad(
        "[ami]\nusername=u\nsecret=\n",
        "3:1: error[H0303]: secret: the value is empty (give a value, or take the line out)",
    );
    assert_eq!(good("").ami, None);
}

#[test]
fn a_manager_on_another_host_is_warned_of() {
    let account = "[ami]\nusername=u\nsecret=s\n";
    check_bad(
        &format!("{account}host=192.0.2.1\n"),
        "4:6: warning[H0305]: the manager interface is on another host, and the connection is not \
         encrypted (run handsetd on Asterisk's host, or use a tunnel)",
    );
    good(&format!("{account}host=localhost\n"));
    good(&format!("{account}host=127.0.0.2\n"));
}

#[test]
fn a_mistake_in_a_template_is_reported_once() {
    check_bad(
        "[t](!)\nx=1\n[push](t)\n[tftp](t)\n",
        "2:1: error[H0301]: [push] has no key \"x\" (handset.conf(5) lists all keys)",
    );
}

#[test]
fn repeated_sections_add_up_and_the_last_value_wins() {
    let site = good("[push]\nrate=1\nretry=5\n[Push]\nrate=2\n");
    assert_eq!((site.pacing.rate, site.pacing.retry), (2.0, Duration::from_secs(5)));
}

#[test]
fn the_companion_is_read_and_needs_a_token() {
    let text = "[agi]\nlisten=4573\ntoken=0123456789abcdef\npermit=192.0.2.9\nguests=guest1, desk-*\npins=pins.conf\n";
    let agi = good(text).agi;
    assert_eq!(agi.listen, Some("0.0.0.0:4573".parse().unwrap()));
    assert_eq!(agi.token.as_ref().map(Secret::reveal), Some("0123456789abcdef"));
    assert_eq!(agi.permit.iter().map(ToString::to_string).collect::<String>(), "192.0.2.9/32");
    assert_eq!(agi.pins.as_deref(), Some(Path::new("/srv/pbx/pins.conf")));
    for (peer, guest) in [("guest1", true), ("guest12", false), ("desk-7", true), ("desk", false)] {
        assert_eq!(agi.is_guest(peer), guest, "{peer}");
    }
    check_bad(
        "[agi]\nlisten=127.0.0.1\n",
        "1:2: error[H0308]: [agi] listen needs a token (add token = with the output of: openssl rand -hex 16)",
    );
    check_bad(
        "[agi]\nguests=a\n",
        "1:2: warning[H0309]: guests needs pins (add pins, the file of the extensions and their PINs)",
    );
    check_bad(
        "[agi]\nguests=a,,b\n",
        "2:8: error[H0303]: guests: \"\" is no name of a peer (write names as guest1, desk-*)",
    );
    let (_, told) = read_all("[agi]\ntoken=geheim\n");
    assert!(!told[0].contains("geheim"), "{told:?}");
}

#[test]
fn the_manual_page_names_every_key() {
    let page = manual();
    for key in KEYS {
        let name = format!("\n.BR {} ", key.name);
        assert!(
            page.contains(&name) && page.contains(&format!(".SH [{}]", key.section)),
            "{}",
            key.name
        );
    }
    assert!(page.lines().all(|line| line.len() < 400 && !line.starts_with('\'')));
}

#[test]
fn the_manual_page_that_is_shipped_is_the_tables() {
    assert!(manual() == include_str!("../../../contrib/man/handset.conf.5"), "{}", manual());
}

#[test]
fn every_key_is_in_the_documents() {
    let (document, example) = (
        include_str!("../../../docs/handset.conf.md"),
        include_str!("../../../contrib/handset.conf"),
    );
    for key in KEYS.iter().filter(|key| key.section != "http") {
        assert!(document.contains(&format!("| `{}` |", key.name)), "{}", key.name);
        assert!(example.contains(&format!("{} = ", key.name)), "{}", key.name);
    }
}

#[test]
fn the_example_that_is_shipped_has_no_mistake() {
    let example = include_str!("../../../contrib/handset.conf");
    let switched_on: String = example
        .lines()
        .map(|line| match line.strip_prefix(';') {
            Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    good(example);
    let site = good(&switched_on);
    assert!(site.server_address.is_some() && site.families.contains_key("cisco-79x0/lobby"));
}
