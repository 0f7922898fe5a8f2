//! *Purpose*: tests of `crate::config`.
//!
//! *Owns*: a case for each setting.
//!
//! *Promises*: none of its own.
//!
//! *Not here*: the file's own faults (`config::settings`).
#![allow(clippy::unwrap_used)]

use super::*;

fn with(
    change: impl FnOnce(&mut ServeArgs, &mut FileSettings),
    environment: &[(&str, &str)],
) -> Result<Config, ConfigError> {
    let mut args =
        ServeArgs { data_dir: Some(PathBuf::from("/tmp/downbeat-x")), ..ServeArgs::default() };
    let mut file = FileSettings::default();
    change(&mut args, &mut file);
    let lookup = |name: &str| {
        environment.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
    };
    let available =
        Available { cpus: vec![CpuId(2), CpuId(3)], memory: Some(6 << 30), ..Available::default() };
    Config::resolve(&args, &file, &lookup, &available)
}

fn said(change: impl FnOnce(&mut ServeArgs, &mut FileSettings)) -> String {
    with(change, &[]).unwrap_err().to_string()
}

fn source(config: &Config, name: &str) -> (String, Origin) {
    let setting = config.effective().iter().find(|s| s.name == name).unwrap();
    (setting.value.clone(), setting.source)
}

#[test]
fn defaults_are_those_of_the_contract() {
    let config = with(|_, _| {}, &[]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8000");
    assert_eq!(config.database.to_string(), "sqlite:///tmp/downbeat-x/downbeat.db");
    assert_eq!((config.cpus.as_slice(), config.pin), ([CpuId(2), CpuId(3)].as_slice(), true));
    assert_eq!(config.tick, Duration::from_secs(5));
    assert!(config.token.is_none() && config.output_roots.is_empty());
    let site = config.site();
    assert_eq!((site.default_limit_s, site.max_limit_s, site.kill_grace_s), (None, None, 30));
    assert_eq!(site.total_cpus, 2);
    assert_eq!(site.memory, SiteMemory { total: Some(6 << 30), per_cpu: None });
    assert_eq!(source(&config, "memory"), ("6G".into(), Origin::Default));
}

#[test]
fn a_flag_beats_the_environment_beats_the_file() {
    let config = with(
        |args, file| {
            args.tick = Some("1s".into());
            args.kill_grace = Some("7s".into());
            file.tick = Some(scalar::Scalar::Text("9s".into()));
            file.cpus = Some(scalar::Scalar::Number(1));
        },
        &[("DOWNBEAT_TICK", "2s"), ("DOWNBEAT_KILL_GRACE", "7s")],
    )
    .unwrap();
    assert_eq!(source(&config, "tick"), ("1s".into(), Origin::Flag));
    assert_eq!(source(&config, "kill_grace"), ("7s".into(), Origin::Environment));
    assert_eq!(source(&config, "cpus"), ("1".into(), Origin::File));
    assert_eq!(source(&config, "max_time_limit"), ("UNLIMITED".into(), Origin::Default));
}

#[test]
fn cpus_that_no_partition_has_are_told_of() {
    let table = |cpus: &str| {
        let text = format!("[[partition]]\nname = \"a\"\ncpus = \"{cpus}\"");
        let read = FileSettings::parse(&text, std::path::Path::new("x")).unwrap();
        let config = with(|_, file| file.partition = read.partition, &[]).unwrap();
        config.warnings().into_iter().filter(|w| w.contains("no partition")).collect::<Vec<_>>()
    };
    assert_eq!(table("3"), ["CPU 2 is in no partition: no job runs there."]);
    assert_eq!(table("2-3"), Vec::<String>::new());
    assert!(
        said(|_, file| {
            let text = "[[partition]]\nname = \"a\"\ncpus = \"0\"";
            *file = FileSettings::parse(text, std::path::Path::new("x")).unwrap();
        })
        .contains("hands out 2-3")
    );
}

#[test]
fn whoever_can_be_reached_from_outside_needs_a_token() {
    let open = |args: &mut ServeArgs, _: &mut FileSettings| {
        args.listen = Some("0.0.0.0:80".into());
    };
    assert!(said(open).contains("DOWNBEAT_TOKEN"), "{}", said(open));
    let config = with(open, &[("DOWNBEAT_TOKEN", "hunter2")]).unwrap();
    assert_eq!(source(&config, "token"), ("***".into(), Origin::Environment));
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(with(open, &[("DOWNBEAT_TOKEN", " ")]).is_err());
    for loopback in ["127.0.0.1:0", "[::1]:0", "localhost:0", "127.9.9.9:1"] {
        assert!(with(|args, _| args.listen = Some(loopback.into()), &[]).is_ok(), "{loopback}");
    }
}

#[test]
fn a_token_file_is_read_and_the_flag_beats_the_variable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "from-file\n").unwrap();
    let set = |args: &mut ServeArgs, _: &mut FileSettings| args.token_file = Some(path.clone());
    let config = with(set, &[("DOWNBEAT_TOKEN", "other")]).unwrap();
    assert!(config.token.unwrap().matches("from-file"));
    let message = said(|args, _| args.token_file = Some("/nonexistent/token".into()));
    assert!(message.starts_with("--token-file (from flag) /nonexistent/token"), "{message}");
}

#[test]
fn more_cpus_than_there_are_turn_pinning_off() {
    let config = with(|args, _| args.cpus = Some("5".into()), &[]).unwrap();
    assert_eq!((config.cpus.len(), config.pin), (5, false));
    assert!(config.warnings().iter().any(|w| w.contains("not pinned")));
    let config = with(|args, _| args.cpus = Some("1".into()), &[]).unwrap();
    assert_eq!((config.cpus.as_slice(), config.pin), ([CpuId(2)].as_slice(), true));
}

#[test]
fn memory_is_given_as_people_write_it_or_not_counted() {
    let set = |memory: &str, each: &str| {
        let (memory, each) = (memory.to_owned(), each.to_owned());
        let config = with(
            |args, file| {
                args.memory = Some(memory);
                file.default_memory_per_cpu = Some(scalar::Scalar::Text(each));
            },
            &[("DOWNBEAT_MEMORY", "64G")],
        );
        let config = config.unwrap();
        let shown = (source(&config, "memory"), source(&config, "default_memory_per_cpu"));
        (config.site().memory, shown)
    };
    let (memory, shown) = set("64G", "512M");
    assert_eq!(memory, SiteMemory { total: Some(64 << 30), per_cpu: Some(512 << 20) });
    assert_eq!(shown.0, ("64G".into(), Origin::Environment));
    assert_eq!(shown.1, ("512M".into(), Origin::File));
    assert_eq!(set("1000", "none").0, SiteMemory { total: Some(1000), per_cpu: None });
    for word in ["0", "unlimited", "UNLIMITED"] {
        let (memory, shown) = set(word, "0");
        assert_eq!(memory, SiteMemory::default(), "{word}");
        assert_eq!(shown.0, ("unlimited".into(), Origin::Flag));
        assert_eq!(shown.1.0, "none");
    }
    let message = said(|a, _| a.default_memory_per_cpu = Some("much".into()));
    assert!(message.starts_with("--default-memory-per-cpu (from flag) \"much\""), "{message}");
}

#[test]
fn wrong_values_name_the_setting_and_its_source() {
    assert!(said(|a, _| a.cpus = Some("0".into())).starts_with("--cpus (from flag) \"0\""));
    assert!(said(|_, f| f.tick = Some(scalar::Scalar::Number(0))).contains("--tick (from file)"));
    assert!(said(|a, _| a.tick = Some("1ms".into())).contains("10ms"));
    assert!(said(|a, _| a.listen = Some("here".into())).contains("HOST:PORT"));
    assert!(said(|a, _| a.max_time_limit = Some("0".into())).contains("--max-time-limit"));
    let message = said(|a, _| a.public_hosts = vec!["https://batch.example.org".into()]);
    assert!(message.starts_with("--public-host (from flag) \"https://"), "{message}");
    assert!(said(|a, _| a.output_roots = vec!["rel".into()]).contains("\"rel\" is not absolute"));
    assert!(said(|a, _| a.kill_grace = Some("2d".into())).contains("a day"));
    assert!(said(|a, _| a.retention = Some("a while".into())).contains("\"30d\" or"));
    assert!(said(|a, _| a.retention = Some("0s".into())).contains("less than a second"));
    assert!(said(|a, _| a.log_level = Some("loud".into())).contains("--log-level"));
    let message = said(|a, _| {
        a.default_time_limit = Some("2h".into());
        a.max_time_limit = Some("1h".into());
    });
    assert!(message.contains("longer than --max-time-limit"), "{message}");
}

#[test]
fn no_password_is_shown() {
    let url = "postgres://me:hunter2@h/db?schema=No";
    let message = said(|a, _| a.database_url = Some(url.into()));
    assert!(message.contains("schema") && !message.contains("hunter2"), "{message}");
    let message = said(|a, _| a.database_url = Some("mysql://me:hunter2@h/db".into()));
    assert!(!message.contains("hunter2"), "{message}");
    assert!(said(|a, _| a.database_url = Some("sqlite://:memory:".into())).contains("no file"));
}
