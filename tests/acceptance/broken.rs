//! Whatever happens to the sources, the last good files are served, and status says why.

use std::fs;

use crate::site::{SOON, Site, mac, phones, quiet};

const INCLUDE: &str = "#include more.conf\n";

struct Office {
    site: Site,
    good: String,
    own: String,
}

/// 20 phones, the last in an included file.
async fn office() -> Office {
    let all = phones(20);
    let cut = all.find("[120]").unwrap();
    let good = all[..cut].to_owned() + INCLUDE;
    let site = Site::prepare(&good.replace(INCLUDE, "#tryinclude more.conf\n"));
    fs::write(site.etc.join("more.conf"), &all[cut..]).unwrap();
    let good = site.sip_conf().replace("#tryinclude", "#include");
    site.save(&good);
    let mut site = site;
    site.run().await;
    site.until("all are served", SOON, |site| site.status().phones.len() == 20).await;
    let own = site.own_file(20).unwrap();
    Office { site, good, own }
}

impl Office {
    async fn holds(&self, what: &str, why: &str) {
        self.site
            .until(what, SOON, |site| {
                site.status().held.as_deref().is_some_and(|held| held.contains(why))
            })
            .await;
        quiet(0.3).await;
        self.is_whole(what);
        assert!(self.site.handset_ok(&["status"]).contains("HELD BACK"), "{what}");
    }

    fn is_whole(&self, what: &str) {
        assert_eq!(self.site.own_file(20).as_ref(), Some(&self.own), "{what}");
        assert!(self.site.own_file(1).is_some(), "{what}");
        assert_eq!(self.site.status().phones.len(), 20, "{what}");
    }

    async fn heals(&self) {
        self.site.save(&self.good);
        self.site.until("it heals", SOON, |site| site.status().held.is_none()).await;
        self.is_whole("healed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_good_files_survive_every_accident() {
    let office = office().await;
    let conf = office.site.etc.join("sip.conf");

    fs::write(&conf, "").unwrap();
    office.holds("truncated", "no peer is left").await;
    office.heals().await;

    fs::write(&conf, b"\x00\xffgarbage [ not a section\nfoo\nk=v\n").unwrap();
    office.holds("garbage", "Asterisk would reject sip.conf").await;
    office.heals().await;

    fs::write(&conf, &office.good[..office.good.len() / 2]).unwrap();
    office.holds("half-written", "would lose their files").await;
    office.heals().await;

    fs::rename(office.site.etc.join("more.conf"), office.site.etc.join("away.conf")).unwrap();
    office.holds("the include is gone", "reject").await;
    fs::create_dir(office.site.etc.join("more.conf")).unwrap();
    office.holds("the include cannot be read", "reject").await;
    fs::remove_dir(office.site.etc.join("more.conf")).unwrap();
    fs::rename(office.site.etc.join("away.conf"), office.site.etc.join("more.conf")).unwrap();
    office.heals().await;

    fs::write(office.site.etc.join("inner.conf"), "[broken\n").unwrap();
    office.site.save(&format!("{}#include inner.conf\n", office.good));
    office.holds("an include that is left half-way", "inner.conf:1").await;
    office.heals().await;

    fs::remove_file(&conf).unwrap();
    office.holds("gone", "cannot be read").await;
    office.heals().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mass_removal_waits_for_a_word() {
    let office = office().await;
    let six =
        (1..=6).fold(office.good.clone(), |text, n| text.replace(&format!(" ;MAC={}", mac(n)), ""));
    office.site.save(&six);
    office.holds("six tags are gone", "6 of 20 phones would lose their files").await;
    assert!(office.site.status().held.unwrap().contains("handset apply --accept-removals"));
    office.site.handset_ok(&["apply", "--accept-removals"]);
    office.site.until("it is let through", SOON, |site| site.status().phones.len() == 14).await;
    assert_eq!(office.site.own_file(1), None);
    assert!(office.site.own_file(7).is_some());
    assert_eq!(office.site.status().held, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_handset_conf_changes_nothing() {
    let mut site = Site::prepare(&phones(1));
    site.run().await;
    site.until("it is served", SOON, |site| site.own_file(1).is_some()).await;
    let own = site.own_file(1);
    site.general = "pusch=manual\ntimezone=America/New_York".into();
    site.write_config();
    site.until("it is held", SOON, |site| {
        site.status().held.as_deref().is_some_and(|h| h.contains("handset.conf"))
    })
    .await;
    let message =
        site.status().diagnostics.iter().find(|d| d.message.contains("pusch")).cloned().unwrap();
    assert!(format!("{message:?}").contains("push"), "{message:?}");
    assert_eq!(site.own_file(1), own);
    site.general = "push=manual".into();
    site.write_config();
    site.until("it heals", SOON, |site| site.status().held.is_none()).await;
}
