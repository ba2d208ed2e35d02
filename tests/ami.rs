//! The AMI task against recorded bytes, a server that misbehaves, and a real Asterisk 16.

#[path = "ami/calls.rs"]
mod calls;
#[path = "ami/fake.rs"]
mod fake;
#[path = "ami/lab.rs"]
mod lab;
#[path = "ami/many.rs"]
mod many;
#[path = "ami/own.rs"]
mod own;
#[path = "ami/phone.rs"]
mod phone;
#[path = "ami/real.rs"]
mod real;
#[path = "ami/replay.rs"]
mod replay;
#[path = "ami/rig.rs"]
mod rig;
