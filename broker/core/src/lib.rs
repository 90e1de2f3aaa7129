//! The pure state machine of usp-broker: data model, requests, fan-out, Services, Subscriptions, access.
//!
//! It has no clock, no file, no socket, no task and no random source of its own: everything that happens comes in as
//! an [`input::Input`], everything that is to be done goes out as an [`output::Output`]. A recorded run replays exactly.

pub mod access;
pub mod agent;
mod boot;
mod commit;
pub mod config;
mod dispatch;
pub mod dm;
pub mod fault;
pub mod gather;
mod identities;
pub mod input;
mod lines;
pub mod mqtt;
pub mod output;
pub mod proxied;
mod request;
mod rng;
mod services;
mod session;
pub mod subscriptions;
pub mod time;
mod timers;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use access::Rights;
use access::meaning::Targets;
use agent::Agent;
use agent::site::SiteFiles;
use commit::Commits;
use config::CoreConfig;
use dm::rows::Rows;
use dm::{Facts, Model, Searched};
use gather::{Gatherer, LegId, LegReply};
use identities::Identities;
use input::Input;
use mqtt::peers::Peers;
use output::{Output, Snapshot, StoreOp};
use proxied::Devices;
use proxied::buses::BusCommands;
use proxied::figures::Figures;
use proxied::objects::Objects;
use request::untold::Untold;
use rng::Rng;
use services::Services;
use services::commands::RunningCommands;
use services::creations::Creations;
use session::Sessions;
use subscriptions::Subscriptions;
use subscriptions::flood::Told;
use subscriptions::leads::Leads;
use subscriptions::saving::Saving;
use subscriptions::told::Undecided;
use subscriptions::waiting::Notices;
use time::{Mono, Now};
use timers::{Timer, Timers};

/// The broker: one owner of the data model, of requests, Services, Subscriptions and access.
///
/// Contract: give it one input with [`handle`](Self::handle), then take outputs with
/// [`poll_output`](Self::poll_output) until there is none, then wait until the next input or the instant of
/// [`poll_timeout`](Self::poll_timeout), at which [`handle_timeout`](Self::handle_timeout) is due.
pub struct Broker {
    config: CoreConfig,
    model: Model,
    sessions: Sessions,
    peers: Peers,
    services: Services,
    commands: RunningCommands,
    bus_commands: BusCommands,
    creations: Creations,
    untold: Untold,
    subs: Subscriptions,
    leads: Leads,
    notices: Notices,
    saving: Saving,
    told: Told,
    undecided: Undecided,
    gather: Gatherer,
    commits: Commits,
    timers: Timers,
    agent: Agent,
    rng: Rng,
    outputs: VecDeque<Output>,
    /// Replies that were known without asking.
    ready: VecDeque<(LegId, LegReply)>,
    /// Store operations that go with the next change and are no rows.
    extra_ops: Vec<StoreOp>,
    /// While there is one, what would be sent is collected here: it waits for the disk.
    held: Option<Vec<Output>>,
    /// Numbers by table and identity.
    identities: Identities,
    meta: BTreeMap<String, String>,
    /// Rights by Controller row, until a role changes.
    /// A restart forgets them (R-SEC.21).
    rights_cache: RefCell<BTreeMap<u32, Rights>>,
    site_loaded: bool,
    phase: Phase,
    /// Sets our msg_ids apart from those of former lives.
    life: u64,
    next_msg: u64,
}

/// Where in its life the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Until Boot! was told: nobody can be connected yet.
    Starting,
    /// From then on.
    Running,
    /// Everybody was told goodbye.
    Ending,
}

impl Broker {
    /// Builds the state from what was on disk. The first outputs are due at once.
    ///
    /// Errors: a seed that does not fit the data model, a store that cannot be understood.
    pub fn new(config: CoreConfig, snapshot: Snapshot, now: Now) -> Result<Self, StartError> {
        let schema = dm::schema_text::own_model().map_err(StartError::Snapshot)?;
        let lacking = || StartError::Snapshot("the model lacks an object of devices".to_owned());
        let objects = Objects::of(&schema).ok_or_else(lacking)?;
        let keys = schema.iter().map(|(id, o)| (id, o.keys.iter().flat_map(|k| k.params.clone()).collect()));
        let rows = Rows::new(keys.collect());
        let facts = Facts::new(&config, now);
        let mut rng = Rng::new(config.entropy);
        let life = rng.next();
        let model = Model {
            schema,
            rows,
            devices: Devices::new(objects),
            mqtt: mqtt::state::Clients::default(),
            site: SiteFiles::default(),
            figures: Figures::default(),
            facts,
            now,
            searched: Searched::default(),
            targets: Targets::default(),
        };
        let mut broker = Self {
            config,
            model,
            sessions: Sessions::default(),
            peers: Peers::default(),
            services: Services::default(),
            commands: RunningCommands::default(),
            bus_commands: BusCommands::default(),
            creations: Creations::default(),
            untold: Untold::default(),
            subs: Subscriptions::default(),
            leads: Leads::default(),
            notices: Notices::default(),
            saving: Saving::default(),
            told: Told::default(),
            undecided: Undecided::default(),
            gather: Gatherer::default(),
            commits: Commits::default(),
            timers: Timers::default(),
            agent: Agent::default(),
            rng,
            outputs: VecDeque::new(),
            ready: VecDeque::new(),
            extra_ops: Vec::new(),
            held: None,
            identities: Identities::default(),
            meta: BTreeMap::new(),
            rights_cache: RefCell::default(),
            site_loaded: false,
            phase: Phase::Starting,
            life,
            next_msg: 0,
        };
        broker.start(snapshot)?;
        Ok(broker)
    }

    fn start(&mut self, mut snapshot: Snapshot) -> Result<(), StartError> {
        let kept = std::mem::take(&mut snapshot.notifications);
        self.restore(snapshot)?;
        self.configure();
        // What follows from the configuration is no change.
        self.model.rows.take_journal();
        self.seed()?;
        self.commit(None);
        self.refresh_subscriptions();
        self.restore_notices(kept);
        self.start_agent();
        self.sync_mqtt();
        self.settle_down();
        Ok(())
    }

    /// Takes in one event.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.take_time(now);
        self.model.searched.reset();
        self.told.reset();
        match input {
            Input::Connected { conn, link } => self.handle_connected(conn, link),
            Input::Record { conn, record } => self.handle_record(conn, *record),
            Input::BadRecord { conn, bad } => self.handle_bad_record(conn, &bad),
            Input::Disconnected { conn, reason } => self.handle_disconnected(conn, &reason),
            Input::Reply(reply) => self.handle_adapter_reply(reply),
            Input::Report(report) => self.handle_report(report),
            Input::Bus(report) => self.handle_bus_report(report),
            Input::Stored { batch, result } => self.handle_stored(batch, result),
            Input::Mqtt { client, event } => self.handle_mqtt(client, event),
            Input::Site(site) => self.handle_site(&site, true),
            Input::Devices(site) => self.handle_site(&site, false),
            Input::Figures(all) => self.take_figures(all),
            Input::SiteRefused(why) => self.refuse_site(&why),
            Input::Reloaded(upto) => self.complete_reloads(upto),
            Input::Shutdown => self.shut_down(),
        }
        self.settle_down();
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        self.take_time(now);
        self.model.searched.reset();
        self.told.reset();
        while let Some(timer) = self.timers.pop(now.monotonic) {
            match timer {
                Timer::Leg(leg) => self.handle_leg_deadline(leg),
                Timer::Notice(id) => self.handle_notice_timer(id),
                Timer::Subscription(number) => self.expire_subscription(number),
                Timer::Discovery(service) => self.discover(service),
                Timer::Silence(service) => self.handle_silence(service),
                Timer::Review(service) => self.review_again(service),
                Timer::Creations => self.deliver_creations(),
                Timer::Notices(debt) => self.save_notices(debt),
                Timer::Leads => self.follow_failed(),
                Timer::Store => self.retry_store(),
                Timer::Periodic(controller) => self.handle_periodic(controller),
                Timer::Scheduled(row) => self.handle_scheduled(row),
                Timer::OnBoarding(controller) => self.restart_on_boarding(controller),
                Timer::Trigger(subscription) => self.handle_trigger(subscription),
                Timer::Age(device) => self.handle_age(device),
                Timer::Sensor { device, place } => self.handle_sensor(device, place),
            }
        }
        self.settle_down();
    }

    /// Follows everything that one input set off until nothing is left but waiting.
    fn settle_down(&mut self) {
        loop {
            self.deliver_ready();
            self.flush_commits();
            self.deliver_late_completions();
            self.deliver_creations();
            if !self.ready.is_empty() || self.commits.is_due() {
                continue;
            }
            self.run_triggered();
            if self.ready.is_empty() && !self.commits.is_due() {
                return;
            }
        }
    }

    /// The next order for the caller, if there is one.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.timers.next()
    }

    /// How many requests are under way: for tests and statistics.
    pub fn pending(&self) -> usize {
        self.gather.jobs()
    }

    /// A msg_id that no other request of ours has, in this life or another.
    fn next_msg_id(&mut self) -> String {
        let number = self.next_msg();
        self.msg_id(number)
    }

    /// The number of the next request of ours.
    fn next_msg(&mut self) -> u64 {
        self.next_msg += 1;
        self.next_msg
    }

    /// The msg_id of a request of ours in this life.
    fn msg_id(&self, number: u64) -> String {
        format!("{:08x}-{number}", self.life >> 32)
    }

    /// The number of a request of ours in this life, by its msg_id.
    fn msg_number(&self, msg_id: &str) -> Option<u64> {
        let (life, number) = msg_id.split_at_checked(8)?;
        let number = number.strip_prefix('-')?;
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let ours = plain(life) && u64::from_str_radix(life, 16) == Ok(self.life >> 32);
        let canonical = number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0');
        if ours && canonical { number.parse().ok() } else { None }
    }
}

/// Why the core cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A seed of the configuration does not fit the data model.
    #[error("{path}: {problem}")]
    Seed {
        /// Which row or Parameter.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// What was on disk cannot be understood.
    #[error("the store is damaged: {0}")]
    Snapshot(String),
}

impl StartError {
    /// Says in which section of the configuration a seed is.
    fn within(self, section: &str) -> Self {
        match self {
            Self::Seed { path, problem } => Self::Seed { path: format!("{section}: {path}"), problem },
            other => other,
        }
    }
}
