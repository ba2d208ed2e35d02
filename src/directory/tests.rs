use super::*;

fn listed(all: &[(&str, &str)]) -> Vec<Listed> {
    let one = |(name, number): &(&str, &str)| Listed {
        name: (*name).into(),
        number: (*number).into(),
        place: None,
    };
    all.iter().map(one).collect()
}

fn directory(all: &[(&str, &str)]) -> Directory {
    Directory::new(None, listed(all)).0
}

fn names<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<&'a str> {
    entries.into_iter().map(|entry| &*entry.name).collect()
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

const BASE: &str = "http://192.0.2.1:8080";

fn query(name: &str, number: &str, page: usize) -> Query {
    Query { name: name.into(), number: number.into(), page }
}

#[test]
fn names_are_sorted_as_people_look_them_up() {
    let directory = directory(&[
        ("Zoe", "1"),
        ("Özil", "2"),
        ("otto", "3"),
        ("Ortega", "4"),
        ("Ärzte", "5"),
        ("adam", "6"),
        ("Zoe", "1"),
        ("Zoe", "0"),
        ("Straße", "7"),
        ("strasse", "8"),
    ]);
    let expected = ["adam", "Ärzte", "Ortega", "otto", "Özil", "Straße", "strasse", "Zoe", "Zoe"];
    assert_eq!(names(&directory.entries), expected);
    assert_eq!(&*directory.entries[7].number, "0");
}

#[test]
fn what_phones_lack_is_replaced_and_reported_once() {
    let (directory, said) =
        Directory::new(None, listed(&[("Łukasz Żak", "1"), ("Иван", "2"), ("Müller “X”", "3")]));
    assert_eq!(names(&directory.entries), ["Ivan", "Lukasz Zak", "Müller \"X\""]);
    assert_eq!(said.len(), 1);
    let message =
        "phones show \"Łukasz Żak\" as \"Lukasz Zak\" in the phone book, and 2 more likewise";
    assert_eq!((said[0].message.as_str(), said[0].code.id), (message, "H0702"));
    assert!(Directory::new(None, listed(&[("Müller & Söhne", "1")])).1.is_empty());
}

#[test]
fn numbers_are_dialled_without_what_is_written_for_the_eye() {
    let check = |number: &str, expected: &str| {
        assert_eq!(&*charset::dialled(number), expected, "{number}");
    };
    check("+49 (30) 12-34/5", "+493012345");
    check("tel:+49-30-1", "+49301");
    check(" 201 ", "201");
    check("*98#", "*98#");
    check("john.doe", "john.doe");
    check("no number", "");
    check("1\u{a0}2", "12");
    let entries = directory(&[("A", "a b"), ("", "1"), (" \u{200b} ", "1"), ("B", "2")]).entries;
    assert_eq!(names(&entries), ["B"]);
}

fn finds(directory: &Directory, name: &str, number: &str, expected: &[&str]) {
    let found = query(name, number, 1).find(directory);
    assert_eq!(names(found), expected, "{name:?} {number:?}");
}

#[test]
fn a_search_finds_umlauts_however_they_are_typed() {
    let directory = directory(&[
        ("Jürgen Müller", "201"),
        ("Mueller, Eva", "202"),
        ("Muller-Kay", "203"),
        ("Manuel Klotz", "304"),
    ]);
    let check = |name, number, expected: &[&str]| finds(&directory, name, number, expected);
    let three = ["Jürgen Müller", "Mueller, Eva", "Muller-Kay"];
    check("müller", "", &three);
    check("MUELLER", "", &three);
    check("mull", "", &three);
    check("manue", "", &["Manuel Klotz"]);
    check("eva mue", "", &["Mueller, Eva"]);
    check("lotz", "", &["Manuel Klotz"]);
    check("kay", "", &["Muller-Kay"]);
    check("", "2 0", &three);
    check("mull", "203", &["Muller-Kay"]);
    check("mull", "999", &[]);
    check("!", "", &[]);
    check("", "", &["Jürgen Müller", "Manuel Klotz", "Mueller, Eva", "Muller-Kay"]);
}

#[test]
fn a_query_is_short_and_has_a_page() {
    let pairs = |all: &[(&str, &str)]| -> Vec<(String, String)> {
        all.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect()
    };
    let check = |all: &[(&str, &str)], expected: Query| {
        assert_eq!(Query::read(&pairs(all)), expected, "{all:?}");
    };
    check(&[], query("", "", 1));
    check(&[("name", " x "), ("page", "3"), ("number", "2")], query("x", "2", 3));
    check(&[("page", "0")], query("", "", 1));
    check(&[("page", "-1"), ("name", "a"), ("name", "b")], query("b", "", 1));
    check(&[("page", "99999999999999999999999")], query("", "", 1));
    check(&[("name", &"ü".repeat(99))], query(&"ü".repeat(16), "", 1));
}

#[test]
fn a_page_is_latin1_and_every_special_character_is_escaped() {
    let directory = directory(&[("Müller & \"Söhne\" <'x'>", "201")]);
    let bytes = book(&directory, &Query::default(), BASE);
    assert_eq!(
        text(&bytes),
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n\
         <CiscoIPPhoneDirectory>\n<Title>Phone book</Title>\n<Prompt>1 to 1 of 1</Prompt>\n\
         <DirectoryEntry>\n\
         <Name>Müller &amp; &quot;Söhne&quot; &lt;&apos;x&apos;&gt;</Name>\n\
         <Telephone>201</Telephone>\n</DirectoryEntry>\n\
         <SoftKeyItem>\n<Name>Dial</Name>\n<URL>SoftKey:Dial</URL>\n<Position>1</Position>\n\
         </SoftKeyItem>\n\
         <SoftKeyItem>\n<Name>Exit</Name>\n<URL>SoftKey:Exit</URL>\n<Position>3</Position>\n\
         </SoftKeyItem>\n\
         <SoftKeyItem>\n<Name>EditDial</Name>\n<URL>SoftKey:EditDial</URL>\n\
         <Position>5</Position>\n</SoftKeyItem>\n\
         <SoftKeyItem>\n<Name>Search</Name>\n<URL>http://192.0.2.1:8080/search</URL>\n\
         <Position>6</Position>\n</SoftKeyItem>\n\
         </CiscoIPPhoneDirectory>\n"
    );
    assert!(bytes.contains(&0xfc), "ü is one byte");
}

#[test]
fn pages_lead_to_the_next_and_to_the_previous_with_the_search() {
    let all: Vec<(String, String)> =
        (0..70).map(|n| (format!("Müller & Co {n:02}"), n.to_string())).collect();
    let all: Vec<(&str, &str)> = all.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let directory = directory(&all);
    let page = |query| text(&book(&directory, &query, BASE));
    let entries = |page: &str| page.matches("<DirectoryEntry>").count();
    let first = page(query("", "", 1));
    assert!(first.contains("<URL>http://192.0.2.1:8080/directory?page=2</URL>"), "{first}");
    assert!(first.contains("1 to 32 of 70") && !first.contains("Previous"), "{first}");
    assert_eq!(entries(&first), 32);
    let second = page(query("müll &", "", 2));
    let next = "directory?page=3&amp;name=m%C3%BCll%20%26</URL>";
    let previous = "directory?page=1&amp;name=m%C3%BCll%20%26</URL>";
    assert!(second.contains(next) && second.contains(previous), "{second}");
    assert!(second.contains("<Title>Search: müll &amp;</Title>"), "{second}");
    let last = page(query("", "", 999));
    assert!(last.contains("65 to 70 of 70") && !last.contains("Next"), "{last}");
    assert_eq!(entries(&last), 6);
}

#[test]
fn nobody_found_is_said_and_leads_back_to_the_search() {
    let directory = directory(&[("A", "1")]);
    let page = text(&book(&directory, &query("zzz", "", 1), BASE));
    assert!(page.contains("<Text>Nobody was found.</Text>") && page.contains("/search</URL>"));
    let empty = text(&book(&Directory::default(), &Query::default(), BASE));
    assert!(empty.contains("The phone book is empty."), "{empty}");
}

#[test]
fn menu_and_form_are_what_phones_know() {
    let menu = text(&services(BASE));
    assert!(menu.contains("<CiscoIPPhoneMenu>") && menu.matches("<MenuItem>").count() == 2);
    let form = text(&search_form(BASE));
    assert!(form.contains("<QueryStringParam>name</QueryStringParam>\n<InputFlags>A</InputFlags>"));
    for page in [menu, form] {
        roxmltree::Document::parse(&page).unwrap();
        assert!(page.contains("<URL>http://192.0.2.1:8080/directory</URL>"), "{page}");
    }
}

/// A file's entries and messages.
fn check_file(bytes: &[u8], expected: &[(&str, &str, u32)], said: &[(&str, u32)]) {
    let (listed, diagnostics) = of_file(bytes, FileId(3));
    let found: Vec<_> = listed
        .iter()
        .map(|one| (one.name.as_str(), one.number.as_str(), one.place.unwrap().line))
        .collect();
    assert_eq!(found, expected, "{}", bytes.escape_ascii());
    let messages: Vec<_> =
        diagnostics.iter().map(|d| (d.message.as_str(), d.span.unwrap().line)).collect();
    assert_eq!(messages, said, "{}", bytes.escape_ascii());
}

#[test]
fn csv_is_read_as_spreadsheets_write_it() {
    check_file(b"", &[], &[]);
    check_file(b"Ada,201\nBob,202", &[("Ada", "201", 1), ("Bob", "202", 2)], &[]);
    check_file(b"\xef\xbb\xbfName;Number\r\nM\xc3\xbcller;1\r\n", &[("Müller", "1", 2)], &[]);
    check_file(b"M\xfcller\t1\n", &[("Müller", "1", 1)], &[]);
    check_file(
        b"\"A \"\"B\"\", C\",1\n\"two\nlines\",2\nX,3\n",
        &[("A \"B\", C", "1", 1), ("two\nlines", "2", 2), ("X", "3", 4)],
        &[],
    );
    check_file(
        b"Vorname;Nachname;Firma;Telefon\nEva;Fuchs;X;7\n;Solo;;8\n",
        &[("Eva Fuchs", "7", 2), ("Solo", "8", 3)],
        &[],
    );
    check_file(b"Phone,First Name,Name\n1,A,B\n", &[("A B", "1", 2)], &[]);
    check_file(
        b"Ada,\n,2\n\n  ,\nBob,1\n",
        &[("Bob", "1", 5)],
        &[
            ("this entry has no number: it is not shown", 1),
            ("this entry has no name: it is not shown", 2),
        ],
    );
    check_file(
        b"\"never closed,1\nB,2\n",
        &[],
        &[("this entry has no number: it is not shown", 1)],
    );
}

#[test]
fn vcards_of_every_version_are_read() {
    check_file(
        b"BEGIN:VCARD\r\nVERSION:3.0\r\nN:M\xc3\xbcller;Eva;;;\r\nFN:Eva \r\n M\xc3\xbcller\r\n\
          TEL;TYPE=WORK,VOICE:+49 30 1\r\nitem1.TEL;type=CELL:2\r\nEND:VCARD\r\n\
          BEGIN:VCARD\r\nVERSION:4.0\r\nFN:A\\, B\\; C\r\nTEL;VALUE=uri:tel:+1-2\r\nEND:VCARD\r\n",
        &[
            ("Eva Müller (work)", "+49 30 1", 1),
            ("Eva Müller (mobile)", "2", 1),
            ("A, B; C", "tel:+1-2", 9),
        ],
        &[],
    );
    check_file(
        b"begin:vcard\nN;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:M=C3=BCl=\nler;Eva\nTEL:1\nend:vcard",
        &[("Eva Müller", "1", 1)],
        &[],
    );
    check_file(
        b"BEGIN:VCARD\nFN:Nobody\nEND:VCARD\nBEGIN:VCARD\nTEL:1\nEND:VCARD\nBEGIN:VCARD\nFN:open\n",
        &[],
        &[
            ("this entry has no number: it is not shown", 1),
            ("this entry has no name: it is not shown", 4),
        ],
    );
}

#[test]
fn many_bad_entries_are_a_few_messages() {
    let (listed, said) = of_file("x,\n".repeat(500).as_bytes(), FileId(0));
    assert!(listed.is_empty());
    assert_eq!(said.len(), 21);
    assert_eq!(said[20].message, "480 more entries of this file are not shown");
}

#[test]
fn a_phone_book_is_bounded() {
    let rows: String = (0..MOST + 10).map(|n| format!("Name {n},{n}\n")).collect();
    let (listed, said) = of_file(rows.as_bytes(), FileId(0));
    assert_eq!((listed.len(), said.len()), (MOST, 10));
    let more = listed.iter().take(5).cloned();
    let (directory, said) = Directory::new(None, more.clone().chain(listed.clone()));
    assert!(directory.entries.len() <= MOST);
    assert_eq!(said[0].message, "the phone book is full: 5 entries are not shown");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    #[test]
    fn every_page_is_well_formed_whatever_the_names_are(
        all in proptest::collection::vec(("\\PC{0,80}|[\\x00-\\xff]{0,20}", "[ -~]{0,70}"), 0..80),
        name in "\\PC{0,20}|[ -~]{0,20}", page in 0_usize..5,
    ) {
        let listed = all.into_iter().map(|(name, number)| Listed { name, number, place: None });
        let directory = Directory::new(None, listed).0;
        for entry in &directory.entries {
            assert!(entry.name.chars().count() <= 64 && !entry.name.is_empty());
            // What is shown can be found.
            let typed: String = entry.name.chars().take(16).collect();
            let query = query(&typed, "", 1);
            if !entry.key.is_empty() && !charset::fold(&typed).is_empty() {
                assert!(query.find(&directory).contains(&entry), "{typed:?} {:?}", entry.key);
            }
        }
        let pairs = vec![("name".to_owned(), name), ("page".to_owned(), page.to_string())];
        let bytes = book(&directory, &Query::read(&pairs), BASE);
        let page = text(&bytes);
        let page = roxmltree::Document::parse(&page).unwrap();
        let entries = page.descendants().filter(|n| n.has_tag_name("DirectoryEntry")).count();
        assert!(entries <= PER_PAGE);
        for url in page.descendants().filter(|n| n.has_tag_name("URL")) {
            assert!(url.text().unwrap().len() <= 240);
        }
    }

    #[test]
    fn any_file_is_read(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let _ = of_file(&bytes, FileId(0));
        let _ = of_file(&[b"BEGIN:VCARD\nFN:x\nTEL:1\n", bytes.as_slice()].concat(), FileId(0));
    }
}
