//! The judge of the firmware ladder must not let a wrong step pass.

use simphone::{Config, Event, Firmware, Phase, Phone, State, image, list, spawn};

use super::tftp::{Answer, Server};
use super::{LIMIT, config, quiet_line};

const OWN: &str = "SIP0018B9FF0001.cnf";

async fn phone(server: &Server, installed: Firmware) -> Phone {
    spawn(Config { installed: Some(installed), ..config(server) }).await
}

/// With this `OS79XX.TXT` and this image, the phone shows this text.
async fn shows(installed: Firmware, load: &str, file: &str, bytes: Vec<u8>, expected: &str) {
    let server = Server::start(&[("OS79XX.TXT", &format!("{load}\r\n"))]).await;
    server.set(file, Answer::File(bytes));
    let phone = phone(&server, installed).await;
    let shown =
        |event: &Event| matches!(event, Event::Trouble { text } if text.starts_with(expected));
    phone.wait_event(0, LIMIT, shown).await.unwrap();
}

#[tokio::test]
async fn the_factory_s_list_is_asked_for_in_its_order_again_and_again() {
    let server = Server::start(&[]).await;
    let mut config = Config { installed: Some(Firmware::factory()), ..config(&server) };
    config.timing.loader_pause = std::time::Duration::from_millis(50);
    let phone = spawn(config).await;
    phone.wait(LIMIT, |state| state.requests.get("SEPDefault.cnf") >= Some(&3)).await.unwrap();
    let list = [
        "OS79XX.TXT",
        "SEP0018B9FF0001.cnf.xml",
        "XMLDefault.cnf.xml",
        "SEP0018B9FF0001.cnf",
        "SEPDefault.cnf",
    ];
    assert_eq!(server.names()[..10], [list, list].concat());
}

#[tokio::test]
async fn a_step_that_no_source_allows_kills_the_phone() {
    let (loader, unsigned) = ("P003-8-11-00", image("P003-8-11-00.bin"));
    shows(Firmware::factory(), loader, "P003-8-11-00.bin", unsigned, "dead: ").await;
    let app = Firmware::running("P0S3-04-4-00");
    shows(app, "P0S3-8-11-00", "P0S3-8-11-00.bin", image("P0S3-8-11-00.bin"), "dead: ").await;
    let back = Firmware::running("P0S3-05-3-00");
    shows(back, "P0S3-04-4-00", "P0S3-04-4-00.sbn", image("P0S3-04-4-00.sbn"), "dead: ").await;
    shows(Firmware::factory(), "two\nlines", "x", Vec::new(), "dead: ").await;
}

#[tokio::test]
async fn an_image_of_the_other_kind_is_refused() {
    let refused = "Image Authentication Failed";
    let (load, file) = ("P0S3-05-3-00", "P0S3-05-3-00.bin");
    shows(Firmware::factory(), load, file, image("P0S3-05-3-00.sbn"), refused).await;
    let app = Firmware::running("P0S3-05-3-00");
    let (load, file) = ("P003-8-11-00", "P003-8-11-00.sbn");
    shows(app, load, file, image("P003-8-11-00.bin"), refused).await;
}

#[tokio::test]
async fn a_loader_without_an_application_is_stopped_by_a_file_that_names_no_load() {
    let server = Server::start(&[(OWN, &quiet_line("1"))]).await;
    let loader = || Firmware { loader: Some("P003-8-11-00".into()), ..Firmware::default() };
    let stuck = phone(&server, loader()).await;
    stuck.wait(LIMIT, |state| state.phase == Phase::Stuck).await.unwrap();

    server.remove(OWN);
    let xml = "<Default><loadInformation7 model='IP Phone 7960'>P0S3-8-11-00</loadInformation7></Default>";
    server.put("XMLDefault.cnf.xml", xml);
    server.set("P0S3-8-11-00.loads", Answer::File(list("P0S3-8-11-00", "P003-8-11-00")));
    server.set("P0S3-8-11-00.sb2", Answer::File(image("P0S3-8-11-00.sb2")));
    let led = phone(&server, loader()).await;
    let there = |state: &State| {
        state.installed.as_ref().is_some_and(|installed| installed.app == "P0S3-8-11-00")
    };
    led.wait(LIMIT, there).await.unwrap();
    assert!(!server.names().contains(&"P003-8-11-00.sbn".into()), "that loader is there already");
}
