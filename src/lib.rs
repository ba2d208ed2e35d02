//! handset: desk phones that follow Asterisk.
//!
//! ```text
//!    sip.conf + includes       handset.conf        src/families (changed by families_dir)
//!         │ read whole, hashed      │                    │
//!         ▼                         ▼                    ▼
//!    conf: text → sections     model::site          family: manifest, templates
//!         ▼                         │                    │           ┐
//!    model: peers, tags → phones    │                    │           │
//!         └─────────────┬───────────┴────────────────────┘           │ pure
//!                       ▼  plan::build → generation n                │
//!                       ▼  plan::guard: not smaller by accident      │
//!                       ▼  plan::offer: who may fetch what now       ┘
//!              watch<Arc<Offer>> ───► TFTP and HTTP answer from memory
//!                       │        └──► export: the same bytes as files
//!    transfers, AMI news ──► events ──► observed (per phone) ──► journal
//!                       ▼
//!              plan::standing of each phone that something was heard of ──► agenda
//!                       ├──► plan::rollout: who is offered what is new ──► offer
//!                       └──► plan::reconcile(agenda, …, now) → actions ──► NOTIFY by AMI, or our own
//! ```
//!
//! Modules in reading order: [`base`], [`conf`], [`model`], [`family`], [`wire`], [`directory`], [`plan`] are
//! pure: no file, socket, clock, environment, randomness or log; each uses only those before it. [`control`],
//! [`daemon`] and [`cli`] touch the world. The map in prose: docs/architecture.md.

pub mod base;
pub mod conf;
pub mod model;

pub mod family;
pub mod wire;

pub mod directory;

pub mod plan;

pub mod control;

pub mod daemon;

pub mod cli;
pub mod log;

/// Every kind of message that handset has, for looking codes up.
pub static CODES: &[&[&base::Code]] = &[
    conf::CODES,
    model::tag::CODES,
    model::site::CODES,
    model::peer::CODES,
    model::peer::keyed::CODES,
    model::peer::pjsip::CODES,
    model::lint::CODES,
    model::phone::CODES,
    model::phone::RESERVED,
    family::CODES,
    directory::CODES,
    daemon::look::CODES,
    daemon::source::CODES,
    cli::doctor::site::CODES,
    cli::doctor::permission::CODES,
    cli::doctor::daemon::CODES,
    cli::doctor::dhcp::CODES,
    cli::doctor::tftp::CODES,
    cli::doctor::http::CODES,
    cli::doctor::https::CODES,
    cli::doctor::sip::CODES,
    cli::doctor::ami::CODES,
    cli::doctor::clock::CODES,
];
