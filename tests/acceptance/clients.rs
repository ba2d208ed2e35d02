//! Every artifact and a large static file, byte for byte, with the TFTP clients that people have.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use crate::site::{SOON, Site, exported, phones};

/// Program and arguments; `@H`, `@P`, `@F`, `@O` stand for host, port, file and output.
const CLIENTS: &[(&str, &[&str])] = &[
    ("atftp", &["--get", "-r", "@F", "-l", "@O", "@H", "@P"]),
    (
        "atftp",
        &[
            "--option",
            "blksize 1428",
            "--option",
            "tsize",
            "--get",
            "-r",
            "@F",
            "-l",
            "@O",
            "@H",
            "@P",
        ],
    ),
    ("tftp", &["-m", "binary", "@H", "@P", "-c", "get", "@F", "@O"]),
    ("curl", &["-sS", "--tftp-no-options", "-o", "@O", "tftp://@H:@P/@F"]),
    ("curl", &["-sS", "--tftp-blksize", "1428", "-o", "@O", "tftp://@H:@P/@F"]),
    ("busybox", &["tftp", "-g", "-r", "@F", "-l", "@O", "@H", "@P"]),
    ("busybox", &["tftp", "-b", "1024", "-g", "-r", "@F", "-l", "@O", "@H", "@P"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_client_gets_every_artifact_whole() {
    let mut site = Site::prepare(&phones(2));
    site.general = format!("export_dir={}", site.path("export").display());
    let firmware: Vec<u8> =
        (0..1_u32 << 20).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect();
    fs::write(site.path("tftp/P0S3-8-12-00.sb2"), &firmware).unwrap();
    fs::write(site.path("tftp/bell.pcm"), vec![0x7f; 16_000]).unwrap();
    site.run().await;
    site.until("all is exported", SOON, |site| {
        site.path("export").exists() && exported(&site.path("export")).len() == 6
    })
    .await;
    let mut files: BTreeMap<String, Vec<u8>> = exported(&site.path("export"));
    assert_eq!(files.len(), 6, "{:?}", files.keys());
    // This one depends on who asks: the export's is no phone's.
    files.remove("syncinfo.xml");
    files.insert("P0S3-8-12-00.sb2".into(), firmware);
    for (program, args) in CLIENTS {
        for (name, bytes) in &files {
            let got = get(&site, program, args, name);
            assert!(
                got.as_ref() == Some(bytes),
                "{program} {args:?} {name}: {:?} bytes",
                got.map(|g| g.len())
            );
        }
        assert_eq!(
            get(&site, program, args, "MGC0018B9000001.cnf").filter(|b| !b.is_empty()),
            None
        );
    }
    let log = site.log();
    assert!(
        log.contains("P0S3-8-12-00.sb2") && log.contains("1048576"),
        "every transfer is logged with its bytes"
    );
}

fn get(site: &Site, program: &str, args: &[&str], name: &str) -> Option<Vec<u8>> {
    let out = site.path("fetched");
    let _ = fs::remove_file(&out);
    let (host, port) = (site.tftp.ip().to_string(), site.tftp.port().to_string());
    let fill = |arg: &&str| {
        arg.replace("@H", &host)
            .replace("@P", &port)
            .replace("@F", name)
            .replace("@O", out.to_str().unwrap())
    };
    let mut command = Command::new(program);
    let run = command.args(args.iter().map(fill)).stdin(Stdio::null()).output();
    run.unwrap_or_else(|error| panic!("{program}: {error} (make setup installs it)"));
    fs::read(&out).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_of_the_root_is_served() {
    let site = Site::prepare(&phones(1));
    fs::write(site.path("secret.txt"), "no").unwrap();
    fs::write(site.path("tftp/open.txt"), "yes").unwrap();
    std::os::unix::fs::symlink(site.path("secret.txt"), site.path("tftp/link.txt")).unwrap();
    std::os::unix::fs::symlink("open.txt", site.path("tftp/inner.txt")).unwrap();
    let mut site = site;
    site.run().await;
    for name in ["open.txt", "/open.txt", "./open.txt", "inner.txt"] {
        assert_eq!(site.fetch(name).as_deref(), Some(&b"yes"[..]), "{name}");
    }
    for name in [
        "../secret.txt",
        "link.txt",
        "/etc/passwd",
        "..",
        "a/../../secret.txt",
        "..\\secret.txt",
        "%2e%2e/secret.txt",
        "tftp",
        "",
    ] {
        assert_eq!(site.fetch(name), None, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_root_is_followed_though_no_phone_changes() {
    let mut site = Site::prepare(&phones(1));
    fs::create_dir(site.path("other")).unwrap();
    fs::write(site.path("tftp/image.bin"), "old").unwrap();
    fs::write(site.path("other/image.bin"), "new").unwrap();
    site.run().await;
    assert_eq!(site.fetch("image.bin").as_deref(), Some(&b"old"[..]));
    let text = fs::read_to_string(site.config()).unwrap();
    let root = |name: &str| format!("root={}\n", site.path(name).display());
    fs::write(site.config(), text.replace(&root("tftp"), &root("other"))).unwrap();
    site.until("the other folder is served", SOON, |site| {
        site.fetch("image.bin").as_deref() == Some(&b"new"[..])
    })
    .await;
}
