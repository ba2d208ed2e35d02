//! Every section of every configuration that the tests have, tagged and untagged again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use handset::base::{Mac, Sources};
use handset::conf::{self, Conf, Status};
use handset::daemon::disk::Disk;
use handset::model::tag::write::{self, Edit, Reading, Wish};
use handset::model::tag::{self, Tags};

/// A top file and its configuration directory.
struct Place {
    etc: PathBuf,
    top: PathBuf,
}

/// How it went with all sections of a place.
#[derive(Default, Debug)]
struct Count {
    tagged: usize,
    templates: usize,
    refused: usize,
}

impl Place {
    fn read(&self) -> (Conf, Sources) {
        let mut sources = Sources::default();
        let conf = conf::read(&self.top, &self.etc, &mut Disk::new(), &mut sources);
        (conf, sources)
    }

    fn tag(&self, section: usize, wish: &Wish) -> Option<Edit> {
        let (conf, sources) = self.read();
        let reading = Reading { top: &self.top, etc: &self.etc, conf: &conf, sources: &sources };
        write::tag(&reading, section, wish, &mut Disk::new()).ok()
    }

    fn untag(&self, section: usize) -> Option<Edit> {
        let (conf, sources) = self.read();
        let reading = Reading { top: &self.top, etc: &self.etc, conf: &conf, sources: &sources };
        write::untag(&reading, section, &mut Disk::new()).ok()
    }

    fn tags(&self) -> (Tags, [u8; 32]) {
        let (conf, _) = self.read();
        (tag::attach(&conf).0, conf::fingerprint(&conf))
    }
}

fn wishes() -> Vec<Wish> {
    let mac: Mac = "00:18:b9:12:34:56".parse().expect("a MAC");
    let plain = Wish {
        mac,
        model: None,
        line: None,
        label: None,
        profile: None,
        firmware: None,
        ip: None,
        guest: None,
    };
    let label = Some(r#"Müller "2" \o/ =x"#.to_owned());
    let full = Wish { model: Some("7960".into()), line: Some(2), label, ..plain.clone() };
    vec![plain, full]
}

/// Everything below a directory.
fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("directory") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                all.insert(path.clone(), fs::read(path).expect("file"));
            }
        }
    }
    all
}

/// One line differs, and only by what was put in.
#[track_caller]
fn one_line_grew(edit: &Edit) {
    let lines = |bytes: &[u8]| bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let (old, new) = (lines(&edit.old), lines(&edit.new));
    assert_eq!(old.len(), new.len());
    let changed: Vec<_> = (0..old.len()).filter(|at| old[*at] != new[*at]).collect();
    assert_eq!(changed, [edit.line as usize - 1]);
    let (old, new) = (&old[changed[0]], &new[changed[0]]);
    let mut rest = new.iter();
    assert!(old.iter().all(|b| rest.any(|n| n == b)), "nothing of the line is lost");
}

fn try_section(place: &Place, section: usize, wish: &Wish, count: &mut Count) {
    let (print, fresh) = (place.tags().1, place.untag(section).is_none());
    let Some(edit) = place.tag(section, wish) else {
        count.refused += 1;
        return;
    };
    let files = tree(&place.etc);
    if fresh {
        one_line_grew(&edit);
    }
    fs::write(&edit.path, &edit.new).expect("write");
    let (after, same) = place.tags();
    assert_eq!(print, same, "Asterisk sees the same");
    assert_eq!(after[section].as_ref().map(|tag| tag.mac.value), Some(wish.mac));
    assert_eq!(after[section].as_ref().and_then(|t| t.label.clone()).map(|l| l.value), wish.label);
    if fresh {
        let back = place.untag(section).expect("what was tagged can be untagged");
        let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
        assert_eq!(back.line, edit.line);
        assert_eq!(shown(&back.new), shown(&edit.old), "section {section}");
        fs::write(&back.path, &back.new).expect("write");
        assert!(tree(&place.etc) == files, "section {section} of {}", place.top.display());
    }
    fs::write(&edit.path, &edit.old).expect("write");
    count.tagged += 1;
}

fn try_place(place: &Place, count: &mut Count) {
    let (conf, _) = place.read();
    if conf.status != Status::Ok {
        return;
    }
    for section in 0..conf.sections.len().min(40) {
        if conf.sections[section].template {
            count.templates += 1;
            assert!(place.tag(section, &wishes()[0]).is_none(), "a template is never tagged");
        } else {
            wishes().iter().for_each(|wish| try_section(place, section, wish, count));
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for (path, bytes) in tree(from) {
        let path = to.join(path.strip_prefix(from).expect("inside"));
        fs::create_dir_all(path.parent().expect("a directory")).expect("create directory");
        fs::write(path, bytes).expect("write file");
    }
}

#[test]
fn tagging_and_untagging_every_section_gives_back_identical_bytes() {
    let mut count = Count::default();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conf");
    for entry in fs::read_dir(root.join("corpus")).expect("corpus") {
        let dir = tempfile::tempdir().expect("temporary directory");
        copy(&entry.expect("entry").path(), dir.path());
        let place = Place { etc: dir.path().to_owned(), top: "m.conf".into() };
        try_place(&place, &mut count);
    }
    for case in super::cases() {
        let dir = tempfile::tempdir().expect("temporary directory");
        super::lay(dir.path(), &case["files"]);
        let top = super::path(dir.path(), case["top"].as_str().expect("top"));
        try_place(&Place { etc: dir.path().to_owned(), top }, &mut count);
    }
    println!("{count:?}");
    assert!(count.tagged > 1000 && count.templates > 50, "{count:?}");
    assert!(count.refused * 8 < count.tagged, "{count:?}");
}
