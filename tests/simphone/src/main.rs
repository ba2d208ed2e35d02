//! Command line of the simulated phone: prints what happens as JSON lines.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use simphone::{Config, Event, Model, Report, Stage, Timing, spawn};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::error::RecvError;

/// A simulated Cisco 7940/7960: boots over TFTP, registers with SIP, obeys check-sync.
#[derive(Parser)]
struct Arguments {
    /// MAC, in any usual spelling
    #[arg(long, value_parser = mac)]
    mac: [u8; 6],
    /// 7940 or 7960
    #[arg(long, default_value = "7960", value_parser = model)]
    model: Model,
    /// The phone's own address; every packet is sent from it
    #[arg(long)]
    address: Ipv4Addr,
    /// The TFTP server
    #[arg(long)]
    tftp: SocketAddr,
    /// How long the phone must be idle before it acts on a check-sync
    #[arg(long, default_value = "20s", value_parser = duration)]
    idle: Duration,
    /// Seconds to register for, instead of what the files say
    #[arg(long)]
    register_expires: Option<u32>,
    /// Keep what the phone remembers in this file
    #[arg(long)]
    flash: Option<PathBuf>,
    /// Where a boot begins
    #[arg(long, value_enum, default_value = "sip")]
    stage: StageName,
    /// SIP port, instead of what the files say
    #[arg(long, default_value_t = 0)]
    sip_port: u16,
    /// Take the pauses of a real phone (a boot lasts a minute)
    #[arg(long)]
    real_time: bool,
    /// Leave the registrations to expire at the end
    #[arg(long)]
    no_unregister: bool,
    /// Print SIP messages (first lines) too
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum StageName {
    Sip,
    Ual,
    /// From the box, with its firmware simulated
    Factory,
}

fn mac(text: &str) -> Result<[u8; 6], String> {
    let digits: Vec<char> = text.chars().filter(|c| !matches!(c, ':' | '-' | '.')).collect();
    let all_hex = digits.len() == 12 && digits.iter().all(char::is_ascii_hexdigit);
    let mut out = [0u8; 6];
    for (byte, pair) in out.iter_mut().zip(digits.chunks(2)) {
        let pair: String = pair.iter().collect();
        *byte = u8::from_str_radix(&pair, 16).unwrap_or_default();
    }
    if all_hex { Ok(out) } else { Err("a MAC has 12 hex digits".into()) }
}

fn model(text: &str) -> Result<Model, String> {
    match text {
        "7940" => Ok(Model::M7940),
        "7960" => Ok(Model::M7960),
        _ => Err("the model is 7940 or 7960".into()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    let seconds = number.parse::<f64>().ok().map(|n| n * unit);
    seconds
        .and_then(|s| Duration::try_from_secs_f64(s).ok())
        .ok_or_else(|| "a time is written 20s, 1.5s or 300ms".into())
}

impl Arguments {
    fn config(self) -> Config {
        let mut config = Config::new(self.mac, self.model, self.address, self.tftp);
        config.sip_port = self.sip_port;
        config.idle = self.idle;
        config.register_expires = self.register_expires;
        config.flash_file = self.flash;
        config.trace_sip = self.verbose;
        config.start = match self.stage {
            StageName::Sip => Stage::SipApp,
            StageName::Ual => Stage::Ual,
            StageName::Factory => Stage::Sccp,
        };
        if config.start == Stage::Sccp {
            config.installed = Some(simphone::Firmware::factory());
        }
        if self.real_time {
            config.timing = Timing::real();
        }
        config
    }
}

/// Prints one line; `false` when nobody reads any more.
fn print(report: &Report) -> bool {
    let Ok(line) = serde_json::to_string(report) else { return true };
    writeln!(std::io::stdout(), "{line}").is_ok()
}

async fn run(arguments: Arguments) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let unregister = !arguments.no_unregister;
    let phone = spawn(arguments.config()).await;
    let mut events = phone.events();
    let mut printed = 0;
    for report in phone.history() {
        print(&report);
        printed = report.seq;
    }
    let mut phone = Some(phone);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                // Told twice: it came between the subscription and the look at the history.
                Ok(report) if report.seq <= printed => {}
                Ok(report) => {
                    if !print(&report) || report.event == Event::Stopped {
                        return Ok(());
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            },
            _ = terminate.recv() => stop(&mut phone, unregister),
            _ = interrupt.recv() => stop(&mut phone, unregister),
        }
    }
}

/// Stops beside the loop, which goes on printing; a second signal changes nothing.
fn stop(phone: &mut Option<simphone::Phone>, unregister: bool) {
    if let Some(phone) = phone.take() {
        tokio::spawn(phone.stop(unregister));
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("simphone: {error}");
            ExitCode::FAILURE
        }
    }
}
