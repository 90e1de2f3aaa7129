//! Where the references lead that Subscriptions follow into Services, or that Services hold ([`crate::request::lead`] finds it
//! out). What lies there is subscribed at its owner, or watched here, as if it had been written down.
//!
//! Invariants: at most one finding is under way for a Subscription, and whatever might change its outcome meanwhile causes another
//! one; what was found stays until something else is found; a failure is tried again, later and later. What decides it at a
//! Service is subscribed there first and asked once more after that, so no change is missed, and nothing is polled.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use usp_proto::path::{Leaf, Path, Segment};

use super::{NotifKind, Subscription, matching};
use crate::Broker;
use crate::access::meaning::Steps;
use crate::dm::resolve::follows;
use crate::dm::schema::ServiceId;
use crate::fault::Fault;
use crate::services::wanted::Wanted;
use crate::time::Mono;
use crate::timers::Timer;

/// Pause before failures are tried again; each further one is twice as long, up to this many times the first.
const RETRY_AFTER: Duration = Duration::from_secs(30);
const MOST_PATIENCE: u32 = 128;

/// So many paths are followed for all Subscriptions together: when one reference changes, everybody waits while they are.
pub(crate) const MOST_OF_ALL: usize = 1 << 14;

/// What is known, and what is being found out, by the number of the Subscription.
#[derive(Default)]
pub(crate) struct Leads {
    known: BTreeMap<u32, Lead>,
    pub(crate) open: BTreeMap<u32, Finding>,
    /// Paths that were followed for what is known and what is being found out.
    pub(crate) met: usize,
    failed: BTreeSet<u32>,
    failures: u32,
    retry: Option<Mono>,
    last: u64,
}

/// What was found out for one Subscription.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Lead {
    /// Paths without references, by the place of the reference that leads there.
    pub(crate) ends: BTreeMap<usize, BTreeSet<Path>>,
    /// The references that Services hold on the way, as they were asked for. `true`: there was one.
    pub(crate) holders: BTreeMap<(ServiceId, Path), bool>,
    /// How many paths were followed for it.
    met: usize,
}

/// One that is under way.
pub(crate) struct Finding {
    /// Tells it from another one for the same Subscription.
    pub(crate) serial: u64,
    pub(crate) lead: Lead,
    /// Paths that it has come by.
    pub(crate) met: BTreeSet<Path>,
    /// Questions that are not answered.
    pub(crate) open: usize,
    /// Why it is not known where references lead, by their places.
    pub(crate) faults: BTreeMap<usize, Fault>,
    /// It may be otherwise by now.
    again: bool,
}

impl Lead {
    /// What a Service has to tell so that it is known when this is not so any more.
    fn watched_at(&self, service: ServiceId) -> BTreeSet<(NotifKind, Path)> {
        let held = self.holders.iter().filter(|((at, _), _)| *at == service);
        held.flat_map(|((_, holder), there)| changes_of(holder, *there)).collect()
    }
}

/// What changes the value of a reference, or of whichever a path means: the value, and rows on the way to it.
fn changes_of(holder: &Path, there: bool) -> Vec<(NotifKind, Path)> {
    let mut changes = vec![(NotifKind::ValueChange, holder.clone())];
    for (index, segment) in holder.segments.iter().enumerate() {
        let one = matches!(segment, Segment::Instance(_));
        if matches!(segment, Segment::Name(_)) {
            continue;
        }
        let mut segments: Vec<Segment> = holder.segments.iter().take(index).cloned().collect();
        let table = Path { segments: segments.clone(), leaf: Leaf::Object };
        segments.push(if one { segment.clone() } else { Segment::Wildcard });
        changes.push((NotifKind::ObjectDeletion, Path { segments, leaf: Leaf::Object }));
        if !(one && there) {
            changes.push((NotifKind::ObjectCreation, table));
        }
    }
    changes
}

impl Subscription {
    /// Its references, and where those lead that Services have to be asked for.
    pub(crate) fn everything(&self) -> impl Iterator<Item = &Path> {
        self.references.iter().chain(&self.led)
    }

    /// The same without what follows references.
    pub(crate) fn plain(&self) -> impl Iterator<Item = &Path> {
        self.everything().filter(|path| !follows(path))
    }

    fn follows(&self) -> bool {
        self.enabled && self.references.iter().any(follows)
    }
}

impl Broker {
    /// Subscriptions that follow references.
    pub(crate) fn following(&self) -> BTreeSet<u32> {
        self.subs.enabled().filter(|(_, s)| s.follows()).map(|(number, _)| number).collect()
    }

    /// What is served has changed, or who may read what: all references are followed anew.
    pub(crate) fn follow_all(&mut self) {
        let all = self.following();
        self.follow_subscriptions(&all);
    }

    /// Finds out where references of some Subscriptions lead now. Those that have changed may have none any more.
    pub(crate) fn follow_subscriptions(&mut self, numbers: &BTreeSet<u32>) {
        let mut fresh = BTreeSet::new();
        for number in numbers {
            match self.subs.get(*number).filter(|s| s.follows()) {
                None => self.forget_lead(*number),
                Some(_) => match self.leads.open.get_mut(number) {
                    Some(finding) => finding.again = true,
                    None => drop(fresh.insert(*number)),
                },
            }
        }
        for number in &fresh {
            self.leads.last += 1;
            // What is followed anew does not count twice.
            let known = self.leads.known.get_mut(number).map_or(0, |lead| std::mem::take(&mut lead.met));
            self.leads.met -= known;
            let finding = Finding {
                serial: self.leads.last,
                lead: Lead::default(),
                met: BTreeSet::new(),
                open: 0,
                faults: BTreeMap::new(),
                again: false,
            };
            self.leads.open.insert(*number, finding);
        }
        self.decide_and_begin(fresh);
    }

    /// What the Permissions of recipients mean at Services has to be known first.
    fn decide_and_begin(&mut self, fresh: BTreeSet<u32>) {
        let targets_of = |number: &u32| -> BTreeSet<Steps> {
            let Some(subscription) = self.subs.get(*number) else { return BTreeSet::new() };
            let rights = self.rights_of_controller(subscription.controller);
            let references = subscription.references.iter().filter(|path| follows(path));
            let open = references.flat_map(|path| rights.open_for(&self.model, path));
            open.map(|target| target.segments.clone()).collect()
        };
        let (mut decided, mut undecided, mut targets) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for number in fresh {
            let own = targets_of(&number);
            if own.is_empty() { &mut decided } else { &mut undecided }.insert(number);
            targets.extend(own);
        }
        if !undecided.is_empty() {
            self.decide_leads(undecided, targets);
        }
        self.begin_leads(&decided);
    }

    /// A Subscription is gone or is another one: nothing of it is known.
    pub(super) fn forget_lead(&mut self, number: u32) {
        self.show_lead(number, &Lead::default());
        let known = self.leads.known.remove(&number).map_or(0, |lead| lead.met);
        let open = self.leads.open.remove(&number).map_or(0, |finding| finding.met.len());
        self.leads.met -= known + open;
        self.leads.failed.remove(&number);
    }

    /// Nothing more is asked for these.
    pub(crate) fn end_leads(&mut self, numbers: &BTreeSet<u32>) {
        let (mut moved, mut again) = (BTreeSet::new(), BTreeSet::new());
        for number in numbers {
            if self.leads.open.get(number).is_none_or(|finding| finding.open > 0) {
                continue;
            }
            let Some(finding) = self.leads.open.remove(number) else { continue };
            if finding.again {
                again.insert(*number);
            }
            if self.take_lead(*number, finding) {
                moved.insert(*number);
            }
        }
        self.retry_leads();
        if !moved.is_empty() {
            self.sync_services(&moved);
        }
        if !again.is_empty() {
            self.follow_subscriptions(&again);
        }
    }

    /// `true`: it leads elsewhere than before.
    fn take_lead(&mut self, number: u32, finding: Finding) -> bool {
        let Finding { mut lead, met, faults, .. } = finding;
        lead.met = met.len();
        let before = self.leads.known.remove(&number).unwrap_or_default();
        self.leads.met -= before.met;
        match faults.values().next() {
            None => drop(self.leads.failed.remove(&number)),
            Some(fault) if self.leads.failed.insert(number) => {
                let what = "where a Subscription's reference leads is not known: it is asked again later";
                tracing::warn!(subscription = number, why = fault.text, "{what}");
            }
            Some(_) => {}
        }
        for place in faults.into_keys() {
            lead.ends.extend(before.ends.get(&place).map(|ends| (place, ends.clone())));
        }
        let is_same = (&before.ends, &before.holders) == (&lead.ends, &lead.holders);
        if !is_same {
            self.show_lead(number, &lead);
        }
        self.leads.known.insert(number, lead);
        !is_same
    }

    fn show_lead(&mut self, number: u32, lead: &Lead) {
        if let Some(subscription) = self.subs.0.get_mut(&number) {
            let ends: BTreeSet<&Path> = lead.ends.values().flatten().collect();
            subscription.led = ends.into_iter().cloned().collect();
            subscription.stems = matching::stems(subscription.plain());
        }
    }

    /// The timer is set while there are failures.
    fn retry_leads(&mut self) {
        if self.leads.failed.is_empty() {
            self.leads.failures = 0;
        } else if self.leads.retry.is_none() {
            let pause = RETRY_AFTER * 2_u32.saturating_pow(self.leads.failures).min(MOST_PATIENCE);
            let at = self.model.now.monotonic + pause;
            self.leads.retry = Some(at);
            self.timers.set(at, Timer::Leads);
        }
    }

    /// What failed is tried again.
    pub(crate) fn follow_failed(&mut self) {
        self.leads.retry = None;
        self.leads.failures = self.leads.failures.saturating_add(1);
        let failed = self.leads.failed.clone();
        self.follow_subscriptions(&failed);
    }

    /// What a Service has to tell so that references are followed anew when they lead elsewhere, with the Subscriptions
    /// that follow them.
    pub(crate) fn followed_at(&self, service: ServiceId) -> BTreeMap<Wanted, BTreeSet<u32>> {
        let mut followed: BTreeMap<Wanted, BTreeSet<u32>> = BTreeMap::new();
        for (number, lead) in &self.leads.known {
            for (kind, path) in lead.watched_at(service) {
                let searched = self.compared_at(service, &path);
                let itself = Wanted { kind, path: path.to_string() };
                for what in searched.into_iter().chain([itself]) {
                    followed.entry(what).or_default().insert(*number);
                }
            }
        }
        followed
    }

    /// Whether a Service is to tell something for one of these.
    pub(crate) fn is_followed_at(&self, service: ServiceId, numbers: &BTreeSet<u32>) -> bool {
        let known = numbers.iter().filter_map(|number| self.leads.known.get(number));
        known.flat_map(|lead| lead.holders.keys()).any(|(at, _)| *at == service)
    }
}
