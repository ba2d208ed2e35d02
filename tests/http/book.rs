//! The phone book of the real daemon on a simulated phone: no Asterisk is needed, the peers stand in
//! sip.conf.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use simphone::{Browser, Config, Model, Phone, Screen};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(60);

/// The daemon with a site of its own; ended when dropped.
struct Site {
    dir: TempDir,
    http: u16,
    tftp: u16,
    daemon: Child,
}

impl Site {
    fn start(sip_conf: &str, http: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display().to_string();
        let web = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let tftp = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        fs::write(dir.path().join("sip.conf"), sip_conf).unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        fs::write(dir.path().join("root/logo.bmp"), b"BM picture").unwrap();
        let text = format!(
            "[general]\nsip_conf={path}/sip.conf\nserver_address=127.0.0.1\ntrusted_nets=127.0.0.0/8\nstate_dir={path}/state\n\
             control_socket={path}/control\ntimezone=Europe/Berlin\n\
             [tftp]\nlisten=127.0.0.1:{tftp}\nroot={path}/root\n\
             [http]\nlisten=127.0.0.1:{web}\nlogo=logo.bmp\n{http}\n"
        );
        fs::write(dir.path().join("handset.conf"), text).unwrap();
        crate::lab::certify(&dir.path().join("certificate.pem"), &dir.path().join("key.pem"));
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let daemon = Command::new(env!("CARGO_BIN_EXE_handsetd"))
            .arg("--config")
            .arg(dir.path().join("handset.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { dir, http: web, tftp, daemon }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.http)
    }

    /// The page, as soon as it is as wanted.
    async fn page(&self, path: &str, wanted: impl Fn(&Screen) -> bool) -> Screen {
        let browser = Browser::new(Ipv4Addr::new(127, 0, 0, 1), simphone::Flash::default());
        let began = Instant::now();
        loop {
            let page = browser.open(&self.url(path)).await;
            match &page {
                Ok(screen) if wanted(screen) => return page.unwrap(),
                _ => assert!(began.elapsed() < SOON, "{page:?}\n{}", self.log()),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A phone that has read its files.
    async fn phone(&self) -> Phone {
        self.page("directory", |page| matches!(page, Screen::Directory { .. })).await;
        let address = Ipv4Addr::new(127, 77, 0, 1);
        let tftp = (Ipv4Addr::LOCALHOST, self.tftp).into();
        let config = Config::new([0, 0x18, 0xb9, 0, 0, 1], Model::M7960, address, tftp);
        let phone = simphone::spawn(config).await;
        let read = phone.wait(SOON, |state| state.phase == simphone::Phase::Running).await;
        read.unwrap_or_else(|why| panic!("{why}\n{}", self.log()));
        phone
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// One phone, whose file could not hold quotes, and peers without any phone.
fn sip_conf(peers: usize) -> String {
    let mut text = String::from(
        "[general]\nbindport=5070\n\n[plain](!)\ntype=friend\nhost=dynamic\nsecret=x\n\
         callerid=\"A Template\" <1>\n\n\
         [desk](plain) ;MAC=00:18:b9:00:00:01 model=7960\nsecret=hush\ncallerid=<20000>\n\n\
         [shop](plain)\n\
         callerid=\"M\u{fc}ller & \\\"S\u{f6}hne\\\" <GmbH>\" <20001>\n\n",
    );
    for n in 2..=peers {
        let name = 20_000 + n;
        let _ = write!(text, "[{name}](plain)\ncallerid=\"Peer {n:05}\" <{name}>\n\n");
    }
    text
}

/// The name of the first entry.
const OWN: &str = "Müller & \"Söhne\" <GmbH>";

/// What a directory page shows.
fn entries(screen: &Screen) -> &[(String, String)] {
    match screen {
        Screen::Directory { entries, .. } => entries,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_pages_through_five_thousand_entries_and_back() {
    let site = Site::start(&sip_conf(5000), "");
    let phone = site.phone().await;
    let browser = phone.browser();
    let mut all = Vec::new();
    let mut page = browser.directory().await.unwrap();
    assert_eq!(page.key("Previous"), None);
    let mut pages = 1;
    loop {
        let Screen::Directory { prompt, .. } = &page else { panic!("{page:?}") };
        assert!(prompt.ends_with("of 5000"), "{prompt}");
        assert_eq!(page.key("Dial"), Some("SoftKey:Dial"));
        all.extend(entries(&page).to_vec());
        let Some(next) = page.key("Next").map(str::to_owned) else { break };
        let shown = entries(&page).to_vec();
        page = browser.open(&next).await.unwrap();
        if pages % 50 == 0 {
            let back = page.key("Previous").unwrap().to_owned();
            assert_eq!(entries(&browser.open(&back).await.unwrap()), shown);
        }
        pages += 1;
    }
    assert_eq!((pages, all.len()), (157, 5000));
    let first = ("Müller & \"Söhne\" <GmbH>".to_owned(), "20001".to_owned());
    assert_eq!(all[0], first);
    let expected = (2..=5000).map(|n| (format!("Peer {n:05}"), (20_000 + n).to_string()));
    assert!(all[1..].iter().cloned().eq(expected), "sorted, each once");
    assert!(!all.iter().any(|(name, _)| name.contains("Template")));
    phone.stop(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_key_leads_to_the_search_and_that_to_the_entry() {
    let site = Site::start(&sip_conf(200), "");
    let phone = site.phone().await;
    let browser = phone.browser();
    let Screen::Menu { items, .. } = browser.services().await.unwrap() else { panic!() };
    let url = |name: &str| items.iter().find(|(item, _)| item.contains(name)).unwrap().1.clone();
    assert_eq!(entries(&browser.open(&url("Phone book")).await.unwrap()).len(), 32);
    let form = browser.open(&url("Search")).await.unwrap();
    let search =
        async |values: &[(&str, &str)]| browser.open(&form.submit(values).unwrap()).await.unwrap();
    for name in ["müller", "MUELLER", "muller", "söh", "mül gmbh"] {
        let found = search(&[("name", name), ("number", "")]).await;
        assert_eq!(
            entries(&found),
            [("Müller & \"Söhne\" <GmbH>".into(), "20001".into())],
            "{name}"
        );
    }
    let found = search(&[("name", ""), ("number", "2019")]).await;
    assert_eq!(entries(&found).len(), 10);
    let found = search(&[("name", "peer"), ("number", "")]).await;
    let second = browser.open(found.key("Next").unwrap()).await.unwrap();
    let Screen::Directory { prompt, .. } = &second else { panic!("{second:?}") };
    assert_eq!(prompt, "33 to 64 of 199");
    let nobody = search(&[("name", "nobody"), ("number", "")]).await;
    assert!(matches!(&nobody, Screen::Text { text, .. } if text.contains("Nobody")), "{nobody:?}");
    assert_eq!(nobody.key("Search"), Some(site.url("search").as_str()));
    assert_eq!(browser.logo().await.unwrap(), b"BM picture");
    phone.stop(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_the_phone_book_is_followed() {
    let site = Site::start(&sip_conf(1), "phonebook=book.csv");
    let has = |wanted: &'static [&str]| {
        move |page: &Screen| match page {
            Screen::Directory { entries, .. } => {
                entries.iter().map(|(name, _)| name.as_str()).eq(wanted.iter().copied())
            }
            _ => false,
        }
    };
    site.page("directory", has(&[OWN])).await;
    let book = site.dir.path().join("book.csv");
    fs::write(&book, "Name,Number\nŁukasz,+48 1\nArzt,112\n").unwrap();
    site.page("directory", has(&["Arzt", "Lukasz", OWN])).await;
    fs::write(&book, "BEGIN:VCARD\nFN:Zoe\nTEL:7\nEND:VCARD\n").unwrap();
    let page = site.page("directory", has(&[OWN, "Zoe"])).await;
    assert_eq!(entries(&page)[1].1, "7");
    // What is held back keeps the phone book, too.
    fs::write(site.dir.path().join("sip.conf"), "[general]\n#include none.conf\n").unwrap();
    fs::write(&book, "Adam,1\n").unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    site.page("directory", has(&[OWN, "Zoe"])).await;
}

/// The same files as over TFTP, and the fetch is known to the daemon.
#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_serves_the_phones_files_by_http() {
    let site = Site::start(&sip_conf(1), "");
    site.page("directory", |page| matches!(page, Screen::Directory { .. })).await;
    let fetch = |url: &str| {
        let out = Command::new("curl").args(["-sS", "-f", "--max-time", "10", url]).output();
        out.unwrap_or_else(|error| panic!("curl: {error} (make setup installs it)"))
    };
    assert!(!fetch(&site.url("")).status.success(), "no listing");
    let name = "SIP0018B9000001.cnf";
    let over_http = fetch(&site.url(name));
    let over_tftp = fetch(&format!("tftp://127.0.0.1:{}/{name}", site.tftp));
    assert!(over_http.status.success() && over_http.stdout == over_tftp.stdout);
    let text = String::from_utf8(over_http.stdout).unwrap();
    for url in ["services", "directory", "logo.bmp"] {
        assert!(text.contains(&format!("\"{}\"", site.url(url))), "{text}");
    }
    let log = site.log();
    assert!(log.contains("http") && log.contains("SIP0018B9000001.cnf"), "{log}");
    assert!(!fetch(&site.url("SIP0018B9000009.cnf")).status.success());
    assert!(!fetch(&site.url("handset.conf")).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_speaks_tls_beside_it_and_says_why_it_does_not_start() {
    let secure = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = format!("tls_listen={secure}\ncertificate=certificate.pem\nkey=key.pem");
    let site = Site::start(&sip_conf(3), &settings);
    site.page("directory", |page| matches!(page, Screen::Directory { .. })).await;
    let out = Command::new("curl")
        .args(["-sS", "--max-time", "10", "--cacert"])
        .arg(site.dir.path().join("certificate.pem"))
        .arg(format!("https://{secure}/directory"))
        .output()
        .unwrap_or_else(|error| panic!("curl: {error} (make setup installs it)"));
    let page = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        page.contains("1 to 3 of 3") && page.contains(&format!("https://{secure}/search")),
        "{page}"
    );
    let config = site.dir.path().join("handset.conf");
    let text = fs::read_to_string(&config).unwrap();
    let refused = |from: &str, to: &str, why: &str| {
        let dir = tempfile::tempdir().unwrap();
        let text = text
            .replace(from, to)
            .replace(&site.dir.path().display().to_string(), &dir.path().display().to_string());
        let text = text.replace(&format!("127.0.0.1:{}", site.tftp), "127.0.0.1:0");
        let text = text.replace(&secure.to_string(), "127.0.0.1:0");
        let text = text.replace(&format!("127.0.0.1:{}", site.http), "off");
        let config = dir.path().join("handset.conf");
        fs::write(&config, text).unwrap();
        let run = Command::new(env!("CARGO_BIN_EXE_handsetd"))
            .arg("--config")
            .arg(&config)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned();
        assert!(!run.status.success() && said.contains(why), "{said}");
    };
    refused("certificate=certificate.pem\n", "", "tls_listen needs `certificate` and `key`");
    refused("certificate=certificate.pem", "certificate=none.pem", "none.pem");
}
