//! What `handset dhcp snippet` prints, judged by the programs that it is for.

use std::fs;

use crate::site::{SCOPE, Site, run};

const SIP: &str = "[201] ;MAC=0018b9000001 ip=10.66.0.7\ntype=friend\nhost=dynamic\nsecret=x\n\
                   [202] ;MAC=0018b9000002\ntype=friend\nhost=dynamic\nsecret=x\n";

/// Both forms of a snippet, each as `text` makes it into a whole configuration.
fn accepted(kind: &str, text: impl Fn(&str) -> String, program: &str, args: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let site = dir.path().join("handset.conf");
    fs::write(dir.path().join("sip.conf"), format!("[general]\n{SIP}")).unwrap();
    let settings =
        "[general]\nsip_conf=sip.conf\nserver_address=10.66.0.1\ntimezone=Europe/Berlin\n";
    fs::write(&site, format!("{settings}{SCOPE}")).unwrap();
    for form in [&[][..], &["--by-class"]] {
        let words = ["--config", site.to_str().unwrap(), "dhcp", "snippet", kind];
        let out = run(env!("CARGO_BIN_EXE_handset"), &[&words[..], form].concat());
        assert!(out.status.success(), "{out:?}");
        let snippet = String::from_utf8(out.stdout).unwrap();
        let conf = dir.path().join("server.conf");
        fs::write(&conf, text(&snippet)).unwrap();
        let all: Vec<&str> = args
            .iter()
            .map(|word| if *word == "FILE" { conf.to_str().unwrap() } else { word })
            .collect();
        let found = std::process::Command::new("sh")
            .args(["-c", "PATH=$PATH:/usr/sbin:/sbin; exec \"$0\" \"$@\"", program])
            .args(&all)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&found.stderr).into_owned()
            + &String::from_utf8_lossy(&found.stdout);
        assert!(
            found.status.success(),
            "{program} {form:?} (make setup installs it): {said}\n{snippet}"
        );
        assert!(!said.to_lowercase().contains("error"), "{said}");
    }
}

#[test]
fn dnsmasq_takes_its_snippet() {
    accepted("dnsmasq", str::to_owned, "dnsmasq", &["--test", "-C", "FILE"]);
}

#[test]
fn isc_dhcpd_takes_its_snippet() {
    let whole = |snippet: &str| {
        format!(
            "{snippet}\nsubnet 10.66.0.0 netmask 255.255.255.0 {{ range 10.66.0.100 10.66.0.150; }}\n"
        )
    };
    accepted("isc", whole, "dhcpd", &["-t", "-cf", "FILE"]);
}

#[test]
fn kea_takes_its_snippet() {
    let whole = |snippet: &str| {
        format!(
            "{{ \"Dhcp4\": {{\n{snippet},\n\"interfaces-config\": {{ \"interfaces\": [] }},\n\
             \"subnet4\": [ {{ \"subnet\": \"10.66.0.0/24\" }} ] }} }}\n"
        )
    };
    accepted("kea", whole, "kea-dhcp4", &["-t", "FILE"]);
}

#[test]
fn the_file_follows_the_phones_and_the_server_is_told_each_time_it_changed() {
    let dhcp = |dir: &str| {
        format!(
            "[dhcp]\nsnippet_kind=dnsmasq\nsnippet_file={dir}/out.conf\n\
             snippet_reload=/bin/cp {dir}/out.conf {dir}/seen.conf\n"
        )
    };
    let mut site = Site::network(&["02:00:00:00:00:01"]);
    let dir = site.path("").display().to_string();
    let dir = dir.trim_end_matches('/');
    site.configure(&dhcp(dir), SIP);
    site.run();
    let seen = |site: &Site| fs::read_to_string(site.path("seen.conf")).unwrap_or_default();
    site.until("the file is written", |site| seen(site).contains("dhcp-host=00:18:b9:00:00:01"));
    let sip = SIP.replace("ip=10.66.0.7", "ip=10.66.0.8");
    fs::write(site.path("sip.conf"), format!("[general]\n{sip}")).unwrap();
    site.until("it follows", |site| seen(site).contains("set:handset,10.66.0.8"));
    // The line comes after what it tells of.
    let told = |site: &Site| site.log().matches("the DHCP server was told").count();
    site.until("both are in the log", |site| told(site) >= 2);
    assert_eq!(told(&site), 2, "{}", site.log());
    assert_eq!(fs::read(site.path("out.conf")).unwrap(), fs::read(site.path("seen.conf")).unwrap());
}
