//! *Purpose*: Slurm on one machine.
//!
//! *Owns*: a configuration on loopback, an own `munged`, the two daemons.
//!
//! *Promises*: tuned for short jobs: it schedules at every end and looks at the whole queue.
//!
//! *Not here*: accounting, control groups.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::home::{free_port, until, version};
use super::{Home, Kind, Peer};

/// Between two looks at its queue.
const LOOK: Duration = Duration::from_millis(100);

/// Slurm.
pub const KIND: Kind = Kind {
    name: "slurm",
    install: "apt-get install slurmctld slurmd slurm-client munge",
    client: "CLI, one array",
    durable: "saved every 5 s",
    jobs: 100,
    probes: 20,
    gap_ms: 2_000,
    accepts: 100,
    version: || version("slurmctld", &["-V"]).filter(|_| version("munged", &["-V"]).is_some()),
    start,
};

/// `Epilog`: without one a finished job starts no scheduling pass.
const CONFIG: &str = "
ClusterName=compare
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={slurmd_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={home}/munge.socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=1000,sched_interval=1,bf_interval=1,batch_sched_delay=0,\
default_queue_depth=10000
Epilog=/bin/true
MaxArraySize=100001
MaxJobCount=200000
MinJobAge=2
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES State=UP MaxTime=INFINITE
";

fn start(home: &mut Home) -> Result<Box<dyn Peer>, String> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim().split('.').next().unwrap_or("localhost").to_owned();
    let user = home.ask({
        let mut id = home.command("id");
        id.arg("-un");
        id
    })?;
    let config = CONFIG
        .replace("{home}", &home.path().display().to_string())
        .replace("{host}", &host)
        .replace("{user}", user.trim())
        .replace("{port}", &free_port().to_string())
        .replace("{slurmd_port}", &free_port().to_string());
    home.folder("state");
    home.folder("spool");
    home.file("slurm.conf", &config);
    munged(home)?;
    for program in ["slurmctld", "slurmd"] {
        let mut daemon = slurm(home, program);
        daemon.arg("-D");
        home.daemon(daemon)?;
    }
    until("an idle node", LOOK, || {
        let mut sinfo = slurm(home, "sinfo");
        sinfo.args(["-h", "-o", "%T"]);
        Ok(home.ask(sinfo).is_ok_and(|state| state.trim() == "idle"))
    })?;
    Ok(Box::new(Slurm))
}

fn munged(home: &mut Home) -> Result<(), String> {
    let key = home.at("munge.key");
    let mut random = fastrand::Rng::new();
    let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(128).collect();
    fs::write(&key, bytes).map_err(|e| e.to_string())?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).map_err(|e| e.to_string())?;
    let mut daemon = home.command("munged");
    daemon.args(["--force", "--foreground"]);
    for (option, file) in [
        ("socket", "munge.socket"),
        ("key-file", "munge.key"),
        ("log-file", "munge.log"),
        ("pid-file", "munge.pid"),
        ("seed-file", "munge.seed"),
    ] {
        daemon.arg(format!("--{option}={}", home.at(file).display()));
    }
    home.daemon(daemon)?;
    until("munged", LOOK, || Ok(home.at("munge.socket").exists()))
}

fn slurm(home: &Home, program: &str) -> Command {
    let mut command = home.command(program);
    command.env("SLURM_CONF", home.at("slurm.conf"));
    command
}

fn sbatch(home: &Home, script: &Path) -> Command {
    let out = home.folder("out");
    let mut command = slurm(home, "sbatch");
    command.arg("--output").arg(out.join("%j.out")).arg("--error").arg(out.join("%j.err"));
    command.arg("--parsable").arg(script);
    command
}

struct Slurm;

impl Peer for Slurm {
    fn run(&mut self, home: &Home, scripts: &[PathBuf]) -> Result<Duration, String> {
        let mut command = sbatch(home, scripts.first().ok_or("no script")?);
        command.env("SBATCH_ARRAY_INX", format!("1-{}", scripts.len()));
        let before = Instant::now();
        home.ask(command)?;
        until("the last job", LOOK, || {
            let mut squeue = slurm(home, "squeue");
            squeue.args(["-h", "-t", "PD,R,CG,CF,S"]);
            Ok(home.ask(squeue)?.trim().is_empty())
        })?;
        Ok(before.elapsed())
    }

    fn submit(&mut self, home: &Home, script: &Path) -> Result<(), String> {
        home.ask(sbatch(home, script)).map(drop)
    }
}
