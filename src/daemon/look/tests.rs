use std::fs;

use tempfile::TempDir;

use super::*;

struct Desk {
    dir: TempDir,
    source: Source,
    newest: Arc<Generation>,
}

impl Desk {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let conf =
            "[general]\nserver_address=192.0.2.1\ntimezone=Europe/Berlin\nsip_conf=DIR/sip.conf\n";
        let conf = conf.replace("DIR", &dir.path().to_string_lossy());
        fs::write(dir.path().join("handset.conf"), conf).unwrap();
        let source = Source::new(dir.path().join("handset.conf"));
        Self { dir, source, newest: Arc::default() }
    }

    /// Saves the peers and looks: how many phones' files were made anew.
    fn look(&mut self, sip_conf: &str) -> Look {
        fs::write(self.dir.path().join("sip.conf"), sip_conf).unwrap();
        let decided = Decided::default();
        let (look, _) = self.source.look(&self.newest, &decided, None, Time(0));
        assert_eq!(look.hold, None);
        self.newest = look.built.clone();
        look
    }
}

const PEERS: &str = "[general]\nlanguage=de\n
[200] ;MAC=0018b9000001\ntype=friend\nhost=dynamic\nsecret=uVcq9Tz4mWx1\ncallerid=\"Ada\" <200>\n
[201] ;MAC=0018b9000002\ntype=friend\nhost=dynamic\nsecret=Lk3v8Jq2Pn6y\ncallerid=\"Łucja\" <201>\n
[202] ;MAC=0018b9000003\ntype=friend\nhost=dynamic\nsecret=Pz2n6Yt1Kc8d\nmailbox=202\ncallerid=\"Bob\" <202>\n
[203] ;MAC=0018b9000004\ntype=friend\nhost=dynamic\nsecret=Xw5r7Dg0Hb3s\ncallerid=\"Eve\" <203>\n";

#[test]
fn only_the_files_of_a_phone_that_changed_are_made_anew() {
    let mut desk = Desk::new();
    let first = desk.look(PEERS);
    assert_eq!((first.rendered, first.held.len()), (4, 1), "the second phone cannot show its name");
    assert_eq!(desk.look(PEERS).rendered, 0, "nor when nothing changed");
    let second = desk.look(&PEERS.replace("\"Ada\"", "\"Ida\""));
    assert_eq!((second.rendered, second.held.len()), (1, 1));
    let messages = |look: &Look| -> Vec<_> {
        look.messages.iter().map(|m| (m.code.clone(), m.message.clone())).collect()
    };
    assert_eq!(messages(&first), messages(&second), "what is to be said is kept as well");
}

#[test]
fn a_look_is_spared_while_everything_looks_as_before_but_not_for_ever() {
    let mut desk = Desk::new();
    assert!(!desk.source.at_rest(), "nothing was looked at");
    desk.look(PEERS);
    let spared = (0..20).take_while(|_| desk.source.at_rest()).count();
    assert_eq!(spared, SPARED as usize);
    desk.look(PEERS);
    fs::write(desk.dir.path().join("sip.conf"), PEERS).unwrap();
    assert!(!desk.source.at_rest(), "it was written again");
    desk.look(PEERS);
    fs::write(desk.dir.path().join("users.conf"), "[general]\n").unwrap();
    assert!(!desk.source.at_rest(), "a file that may be there came");
}

#[test]
fn a_message_points_at_its_line_after_the_lines_moved() {
    let mut desk = Desk::new();
    let place = |look: &Look| {
        let held = look.messages.iter().find(|m| m.message.contains("Łucja") || m.code == "H0505");
        held.unwrap_or_else(|| panic!("{:?}", look.messages)).place.clone().unwrap()
    };
    let before = place(&desk.look(PEERS));
    let look = desk.look(&format!("; a comment\n{PEERS}"));
    assert_eq!(look.rendered, 2, "the two phones that there is something to say about");
    let line = |place: &str| place.split(':').nth(1).unwrap().parse::<u32>().unwrap();
    assert_eq!(line(&place(&look)), line(&before) + 1);
}

#[test]
fn what_all_phones_depend_on_makes_all_anew() {
    let mut desk = Desk::new();
    desk.look(PEERS);
    assert_eq!(desk.look(&PEERS.replace("language=de", "language=de\nbindport=5070")).rendered, 4);
}

#[test]
fn without_its_settings_the_last_good_ones_stay() {
    let mut desk = Desk::new();
    let good = desk.look(PEERS);
    fs::remove_file(desk.dir.path().join("handset.conf")).unwrap();
    let (look, _) = desk.source.look(&desk.newest, &Decided::default(), None, Time(0));
    assert_eq!(look.hold.as_deref(), Some("handset.conf is gone: bring it back"));
    assert_eq!(look.site, good.site);
    assert!(look.messages.iter().any(|m| m.code == "H0607"), "{:?}", look.messages);
}
