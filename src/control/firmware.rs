//! What `handset firmware` tells.

use serde::{Deserialize, Serialize};

use crate::base::Mac;

/// The firmware of a site. This is the object of `handset firmware --json`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Firmware {
    /// The loads that lie in the static root, whole or not.
    pub loads: Vec<FirmwareLoad>,
    /// Every image there.
    pub images: Vec<FirmwareImage>,
    /// The ways to the loads that phones shall run.
    pub ways: Vec<FirmwareWay>,
    /// The phones, by MAC.
    pub phones: Vec<FirmwarePhone>,
}

/// A load with a list of its images.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FirmwareLoad {
    /// Its name.
    pub load: String,
    /// The images that are missing.
    pub missing: Vec<String>,
}

/// One image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FirmwareImage {
    /// The name of the file.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// It carries a signature; whether that is genuine only the phone can tell.
    pub signed: bool,
    /// What looks wrong.
    pub odd: Vec<String>,
}

/// The way to one load.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FirmwareWay {
    /// The family.
    pub family: String,
    /// The load at the end.
    pub target: String,
    /// Its steps.
    pub steps: Vec<FirmwareStep>,
}

/// One step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FirmwareStep {
    /// What a phone runs that stands there.
    pub at: String,
    /// What it is told; null when there is no such load.
    pub load: Option<String>,
    /// Why no phone is sent on from here; empty when all is there.
    pub missing: Vec<String>,
}

/// The firmware of one phone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FirmwarePhone {
    /// The phone.
    pub mac: Mac,
    /// Its first line's peer.
    pub peer: String,
    /// Its model.
    pub model: String,
    /// What it was seen to run; null when that is not known.
    pub runs: Option<String>,
    /// The load that it shall run; null when none is set, or not all of it is there.
    pub target: Option<String>,
    /// The load that it is told next; null when it needs none.
    pub next: Option<String>,
    /// It was taken off the ladder.
    pub off: bool,
    /// Why it is off, or stays where it is.
    pub detail: Option<String>,
}
