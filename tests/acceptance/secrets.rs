//! Secrets are in the files that phones fetch, and nowhere else.

use std::fs;

use crate::site::{SOON, Site, mac, phones, quiet};

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_ever_told() {
    let mut site = Site::prepare(
        &(phones(2)
            + "[103](desk) ;MAC=00:18:b9:00:00\nsecret=hush-103-hush\n;secret=hush-old-hush\n"),
    );
    site.write_config();
    site.run_with("trace").await;
    let desk = site.boot(1).await;
    site.edit("hush-101-hush", "hush-new-hush");
    site.until("it is served", SOON, |site| site.own_file(1).unwrap().contains("hush-new-hush"))
        .await;
    site.until_current(1).await;
    site.edit("secret=hush-102-hush", &format!("secret=hush-{}-hush", "y".repeat(30)));
    site.until("the long one is refused", SOON, |site| !site.status().diagnostics.is_empty()).await;
    quiet(0.5).await;
    let mut told = site.log();
    let commands: [&[&str]; 8] = [
        &["status"],
        &["status", "--json"],
        &["diff"],
        &["diff", "--json"],
        &["check"],
        &["check", "--short"],
        &["render", "101"],
        &["push", "101", "--dry-run"],
    ];
    for command in commands {
        let out = site.handset(command);
        told += &String::from_utf8_lossy(&out.stdout);
        told += &String::from_utf8_lossy(&out.stderr);
    }
    assert!(told.contains(&mac(1)), "something was told");
    for secret in ["hush", "lab-secret"] {
        let leak = told.lines().find(|line| line.contains(secret));
        assert_eq!(leak, None, "{secret}");
    }
    let password = desk.state().flash.get("phone_password").to_owned();
    assert!(
        password != "cisco" && password.len() >= 12 && !told.contains(&password),
        "the phone's own password"
    );
    assert!(site.own_file(1).unwrap().contains("hush-new-hush"));
    let shown = site.handset_ok(&["render", "101", "--show-secrets"]);
    assert!(shown.contains("hush-new-hush"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_on_disk_is_closed_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let mut site = Site::prepare(&phones(1));
    site.general = format!("export_dir={}", site.path("export").display());
    site.run().await;
    site.until("it is exported", SOON, |site| site.path("export/SIP0018B9000001.cnf").exists())
        .await;
    let mode = |name: &str| fs::metadata(site.path(name)).unwrap().permissions().mode() & 0o777;
    let modes = ["state", "handset.key", "control", "export/SIP0018B9000001.cnf"].map(mode);
    assert_eq!(modes, [0o700, 0o600, 0o660, 0o640]);
}
