//! The core: owns every mutable thing. Events change what is known; then it looks at everything,
//! orders what is due, and publishes snapshots.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::access::Access;
use super::askers::Askers;
use super::catalog::Served;
use super::climb::Heard;
use super::dhcp;
use super::event::{Order, OwnNotify};
use super::look::Look;
use super::metrics::Tally;
use super::store::{Decided, Restored, Store};
use super::trace::Ledger;
use super::unknown::Strangers;
use super::waiter::Waiter;
use crate::base::{Mac, Tech, Time};
use crate::directory::Directory;
use crate::family;
use crate::model::site::{Ami, Site};
use crate::plan::agenda::Agenda;
use crate::plan::generation::{Generation, PhonePart};
use crate::plan::intents::Intents;
use crate::plan::observed::Observed;
use crate::plan::offer::{Moved, Offer, Passage, changes, offer};
use crate::plan::reconcile::Pace;
use crate::plan::reload::Loaded;
use crate::plan::rollout::Rollouts;

/// The session with Asterisk, as last told.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    pub(super) up: bool,
    pub(super) text: String,
}

/// What the core reaches the world through.
#[derive(Debug)]
pub struct Outlets {
    /// What the file services read.
    pub served: watch::Sender<Arc<Served>>,
    /// What the HTTP service reads beside it.
    pub directory: watch::Sender<Arc<Directory>>,
    /// To the AMI task.
    pub orders: mpsc::Sender<Order>,
    /// NOTIFYs that we send ourselves.
    pub notify: mpsc::Sender<OwnNotify>,
    /// What the DHCP service is to do.
    pub dhcp: watch::Sender<Option<Arc<dhcp::Wanted>>>,
    /// The files to export, whenever they change.
    pub export: watch::Sender<Option<Arc<Offer>>>,
}

/// Everything that changes.
pub struct Core {
    pub(super) site: Arc<Site>,
    pub(super) offer: Arc<Offer>,
    pub(super) look: Option<Look>,
    pub(super) observed: Observed,
    pub(super) intents: Intents,
    pub(super) loaded: Loaded,
    pub(super) session: Session,
    pub(super) decided: Decided,
    pub(super) started: Time,
    pub(super) store: Store,
    pub(super) pace: Pace,
    /// Where every phone stands.
    pub(super) agenda: Agenda,
    /// What is counted for people.
    pub(super) tally: Tally,
    /// The changes on their way to phones, and those before.
    pub(super) rollouts: Rollouts,
    /// The intents are not as they were stored.
    pub(super) wishes_changed: bool,
    /// Phones that were proved to run what they were taken back from, perhaps, and when.
    pub(super) pardons: BTreeMap<Mac, Time>,
    /// When phones were last given a change.
    pub(super) released: Time,
    /// What Asterisk was last known to have loaded.
    pub(super) shown: Option<Arc<Generation>>,
    /// Whose line each peer is.
    pub(super) owners: HashMap<String, Mac>,
    pub(super) askers: Arc<Askers>,
    pub(super) access: Arc<Access>,
    /// The DHCP service, where there is one.
    pub(super) dhcp: Option<dhcp::Handle>,
    /// The phones of which something is known that is not in the journal.
    pub(super) dirty: BTreeSet<Mac>,
    /// The phones of which something is known that the file services and the AMI session do not know.
    pub(super) stirred: BTreeSet<Mac>,
    /// The phones that may stand elsewhere than the agenda says, and when that was looked at last.
    pub(super) unsettled: BTreeSet<Mac>,
    pub(super) settled: Time,
    pub(super) waiters: Vec<Waiter>,
    /// Who asked from which address.
    pub(super) heard: Heard,
    pub(super) polled: BTreeSet<String>,
    /// Something is known that the file services and the AMI session do not know yet.
    pub(super) changed: bool,
    pub(super) scanned: Time,
    /// The last look.
    pub(super) looked: Time,
    pub(super) saved: Time,
    pub(super) relisted: Time,
    /// The parts that phones are proved to run, where the offer has moved on.
    pub(super) ran: BTreeMap<Mac, Arc<PhonePart>>,
    pub(super) families: Arc<family::Library>,
    pub(super) out: Outlets,
    /// What happens to phones.
    pub(super) ledger: Ledger,
    /// Who asks without a tag: when it was last written down, and whether it differs.
    pub(super) strangers: Strangers,
    /// Phones that asked for another account themselves, and when.
    pub(super) moving: BTreeMap<Mac, Time>,
}

impl Core {
    /// Starts from what is stored.
    pub fn new(
        site: Arc<Site>,
        store: Store,
        restored: Restored,
        families: Arc<family::Library>,
        out: Outlets,
        now: Time,
    ) -> Self {
        let offer = restored.offer;
        let Decided { loaded: known, reloading: doubt, .. } = restored.decided.clone();
        let loaded = Loaded { known, doubt, ..Loaded::default() };
        let shown = loaded.known.is_some().then(|| offer.newest.clone());
        let ledger = Ledger::new(store.journal());
        let rollouts = store.rollouts();
        let mut core = Self {
            site,
            offer: Arc::default(),
            look: None,
            observed: Observed::restored(restored.phones, restored.unknown),
            intents: restored.intents,
            loaded,
            session: Session { up: false, text: "not connected yet".into() },
            decided: restored.decided,
            started: now,
            store,
            pace: Pace::default(),
            agenda: Agenda::default(),
            tally: Tally::default(),
            rollouts,
            wishes_changed: false,
            pardons: BTreeMap::new(),
            released: Time(0),
            shown,
            owners: HashMap::new(),
            askers: Arc::default(),
            access: Arc::default(),
            dhcp: None,
            dirty: BTreeSet::new(),
            stirred: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            settled: Time(0),
            waiters: Vec::new(),
            heard: Heard::default(),
            polled: BTreeSet::new(),
            changed: true,
            scanned: now,
            looked: now,
            saved: now,
            relisted: now,
            ran: BTreeMap::new(),
            families,
            out,
            ledger,
            strangers: Strangers::default(),
            moving: BTreeMap::new(),
        };
        // The clock may have been ahead when the state was written.
        core.set_back(now);
        core.learn();
        core.guard();
        core.publish(offer);
        core.stirred.extend(core.offer.phones.keys());
        core
    }

    /// The generation that newer ones are measured against.
    pub fn newest(&self) -> Arc<Generation> {
        self.offer.newest.clone()
    }

    /// Takes in what the disk says.
    pub fn read(&mut self, look: Look, now: Time) {
        let before = self.look.as_ref().and_then(|old| old.hold.as_ref());
        match &look.hold {
            Some(reason) if before != Some(reason) => {
                warn!(reason, "the newer configuration is held back; the last good one is served");
            }
            None if before.is_some() => info!("nothing is held back any more"),
            _ => {}
        }
        let Decided { loaded, reloading, .. } = self.decided.clone();
        let decided = Decided { loaded, reloading, ..look.decided.clone() };
        if decided != self.decided {
            self.decided = decided;
            self.store.save_decided(&self.decided);
        }
        if !self.site.stands_as(&look.site) {
            self.stirred.extend(self.offer.phones.keys());
        }
        self.site = look.site.clone();
        self.store.keep(self.site.waves.keep);
        self.move_root();
        self.guard();
        self.families = look.families.clone();
        self.learn();
        self.out.directory.send_replace(look.directory.clone());
        let built = look.built.clone();
        let passes = look.hold.is_none();
        self.look = Some(look);
        self.show_strangers();
        if passes {
            self.advance(built, now);
        }
        self.tell_dhcp(passes);
    }

    /// Serves static files from where the settings say.
    fn move_root(&self) {
        let root = self.site.tftp.root.as_deref();
        self.out.served.send_if_modified(|served| {
            let moved = served.root.as_deref() != root;
            if moved {
                Arc::make_mut(served).root = root.map(Into::into);
            }
            moved
        });
    }

    /// Makes a generation the newest, unless it has the bytes of the one before.
    fn advance(&mut self, built: Arc<Generation>, now: Time) {
        let old = self.offer.newest.clone();
        let newest = if built.same_bytes(&old) { old } else { built };
        let (loaded, moves) = (self.loads(&newest, now), newest.id != self.offer.newest.id);
        self.reoffer(&newest, loaded, &BTreeSet::new());
        if moves {
            self.begin_rollout(now);
        }
    }

    /// Lets phones have their newest parts that may: those of `released`, and where nothing can be seen
    /// of phones, all.
    pub(super) fn reoffer(
        &mut self,
        newest: &Arc<Generation>,
        loaded: bool,
        released: &BTreeSet<Mac>,
    ) {
        let blind = self.is_blind();
        let released = |mac: &Mac| blind || released.contains(mac) || self.runs(newest, *mac);
        let passage = Passage { loaded, released: &released };
        let next = Arc::new(offer(newest, Some(&self.offer), passage));
        if newest.id == self.offer.newest.id && next.phones == self.offer.phones {
            return;
        }
        self.serve(next);
    }

    /// Whether a phone is proved to run what a generation has for it: a change that was taken back
    /// before the phone took it.
    fn runs(&self, newest: &Generation, mac: Mac) -> bool {
        let running = self.observed.phones.get(&mac).and_then(|seen| seen.running);
        let part = newest.phones.get(&mac);
        part.zip(running).is_some_and(|(part, run)| part.is_run(run.token))
    }

    /// Makes an offer the one that is served, and keeps it.
    pub(super) fn serve(&mut self, next: Arc<Offer>) {
        self.publish(next.clone());
        info!(
            generation = next.newest.id,
            phones = next.phones.len(),
            waiting = next.waiting().len(),
            made_anew = self.look.as_ref().map_or(0, |look| look.rendered),
            "offered"
        );
        self.store.save_offer(next);
    }

    fn remember_running(&mut self, mac: Mac, old: &Arc<PhonePart>) {
        let running = self.observed.phones.get(&mac).and_then(|seen| seen.running);
        if running.is_some_and(|run| old.is_run(run.token)) {
            self.ran.insert(mac, old.clone());
        }
    }

    /// Makes an offer the one that is served, at once.
    fn publish(&mut self, next: Arc<Offer>) {
        let old = std::mem::replace(&mut self.offer, next.clone());
        let root = self.site.tftp.root.as_deref().map(Into::into);
        let (offer, askers, access) = (next.clone(), self.askers.clone(), self.access.clone());
        let strange = self.out.served.borrow().strange.clone();
        let served = Served { offer, askers, access, root, strange };
        self.out.served.send_replace(Arc::new(served));
        let moved = changes(&old.phones, &next.phones);
        // Files for everybody, and the ways of the firmware, are a part of where each phone stands.
        let common = |offer: &Offer| (offer.newest.ladders.clone(), offer.newest.shared.clone());
        if common(&old) != common(&next) {
            self.stirred.extend(next.phones.keys());
        }
        let differs = old.waiting().symmetric_difference(next.waiting());
        self.stirred.extend(differs.copied());
        for moved in &moved {
            self.stirred.insert(moved.mac);
            if let Some(part) = moved.old {
                for peer in part.peers() {
                    if self.owners.get(peer) == Some(&moved.mac) {
                        self.owners.remove(peer);
                    }
                }
                self.remember_running(moved.mac, part);
                self.leave(part, moved.new);
            }
            if let Some(part) = moved.new {
                self.owners.extend(part.peers().map(|peer| (peer.to_owned(), part.mac)));
                self.assume(part);
            }
        }
        self.ran.retain(|mac, _| next.phones.contains_key(mac));
        self.changed = true;
        if peers_differ(&moved) || peers_differ(&changes(&old.newest.phones, &next.newest.phones)) {
            self.follow();
        }
        self.out.export.send_replace(Some(next));
    }

    /// Tells the AMI session whose details matter.
    fn follow(&self) {
        let lines = || {
            let parts = self.offer.phones.values().chain(self.offer.newest.phones.values());
            parts.flat_map(|part| &part.lines)
        };
        let left = self.observed.phones.values().flat_map(|seen| &seen.left).map(String::as_str);
        let all: BTreeSet<&str> = lines().map(|line| &*line.peer).chain(left).collect();
        self.order(Order::Techs(lines().map(|l| (l.peer.clone(), l.tech)).collect()));
        self.order(Order::Follow(all.into_iter().map(str::to_owned).collect()));
    }

    /// Looks at everything and does what is due.
    pub fn look(&mut self, now: Time) {
        self.mind_clock(now);
        if self.look.is_some() {
            let newest = self.newest();
            if self.loads(&newest, now) && !self.offer.unloaded().is_empty() {
                self.reoffer(&newest, true, &BTreeSet::new());
            }
        }
        let mut fresh = self.refresh(now);
        self.roll(&fresh, now);
        self.pardon(now);
        self.reconcile(!fresh.is_empty(), now);
        fresh.append(&mut self.refresh(now));
        if std::mem::take(&mut self.wishes_changed) {
            self.store.save_intents(&self.intents);
        }
        self.inform(&fresh, now);
        self.tell(now);
        self.save_phones(now);
        self.show_facts(now);
    }

    /// Hands an order over; false when too many wait.
    pub(super) fn order(&self, order: Order) -> bool {
        match self.out.orders.try_send(order) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(error) => {
                warn!(%error, "an order to the AMI session was dropped");
                false
            }
        }
    }

    /// What a look at the disk starts from: the newest generation, what was decided, and the
    /// fingerprint whose removals are meant.
    pub fn basis(&self) -> (Arc<Generation>, Decided, Option<String>) {
        (self.newest(), self.decided.clone(), self.intents.accepted.clone())
    }

    /// The settings that the AMI session shall use.
    pub fn ami_settings(&self) -> Option<Ami> {
        self.site.ami.clone()
    }

    /// Sends orders there from now on.
    pub fn connect(&mut self, orders: mpsc::Sender<Order>) {
        self.out.orders = orders;
        self.session = Session { up: false, text: "not connected yet".into() };
        self.unlisted();
        self.polled.clear();
        self.changed = true;
        self.follow();
    }
}

/// Whether phones have other peers now.
fn peers_differ(moved: &[Moved<'_>]) -> bool {
    let lines = |part: Option<&Arc<PhonePart>>| -> Vec<(String, Tech)> {
        let lines = part.into_iter().flat_map(|part| &part.lines);
        lines.map(|line| (line.peer.clone(), line.tech)).collect()
    };
    moved.iter().any(|moved| lines(moved.old) != lines(moved.new))
}
