//! *Purpose*: what a job left is read and removed as its owner would, and nothing else is.
//!
//! *Owns*: the cases about opening streams and removing folders in a person's name.
//!
//! *Promises*: a secret that must not be read has a text of its own; what must not be touched is
//! looked at afterwards.
//!
//! *Not here*: how it is served (`tests/http`), writing (`files`).

use std::io::Read;
use std::os::unix::fs::symlink;

use futures_util::future::join_all;

use super::*;

super::cases! {
    a_stream_that_the_server_keeps_is_read_and_one_that_is_not_its_owner_s_is_not
    output_that_became_a_link_to_what_alice_may_not_read_is_refused
    a_stream_is_opened_as_alice_wherever_it_is_and_a_pipe_is_none
    on_a_file_system_that_hangs_readers_are_told_so_and_bob_s_stream_is_opened
    nobody_is_a_helper_for_root_or_for_one_below_the_floor
    a_folder_is_removed_with_what_others_left_in_it_and_nothing_outside_of_it
}

impl Stage {
    /// What a stream of this person's says, as the server would read it.
    async fn read(&self, person: &Person, stream: &StreamFile) -> Result<String, OpenError> {
        let mut file = self.engine.open_stream(person.clone(), stream.clone()).await?;
        let mut said = String::new();
        file.read_to_string(&mut said).unwrap();
        Ok(said)
    }
}

mod cases {
    use super::*;

    pub async fn a_stream_that_the_server_keeps_is_read_and_one_that_is_not_its_owner_s_is_not() {
        let stage = Stage::new();
        let order = stage.order(&alice(), "echo kept");
        stage.end(&order).await;
        assert_eq!(stage.read(&alice(), &order.stdout).await.unwrap(), "kept\n");
        let bobs = stage.read(&bob(), &order.stdout).await;
        assert!(matches!(bobs, Err(OpenError::Denied)), "{bobs:?}");
        let own = order.own_folder.clone().unwrap();
        let missing = StreamFile { root: own.clone(), path: "other".into() };
        let missing = stage.read(&alice(), &missing).await;
        assert!(matches!(missing, Err(OpenError::Absent)), "{missing:?}");
        // By whatever accident: a link, a second name.
        let secret = stage.path("secret");
        fs::write(&secret, "SECRET").unwrap();
        give(&secret, &alice());
        fs::remove_file(own.join("stdout")).unwrap();
        fs::hard_link(&secret, own.join("stdout")).unwrap();
        let read = stage.read(&alice(), &order.stdout).await;
        assert!(matches!(read, Err(OpenError::Denied)), "{read:?}");
        fs::remove_file(own.join("stderr")).unwrap();
        symlink(&secret, own.join("stderr")).unwrap();
        let read = stage.read(&alice(), &order.stderr).await;
        assert!(matches!(read, Err(OpenError::Denied)), "{read:?}");
    }

    pub async fn output_that_became_a_link_to_what_alice_may_not_read_is_refused() {
        let stage = Stage::new();
        let etc = stage.path("etc");
        fs::create_dir(&etc).unwrap();
        fs::write(etc.join("shadow"), "SECRET").unwrap();
        mode(&etc.join("shadow"), 0o600);
        let order = stage.writing_to(&alice(), Path::new("w/shadow"), "echo mine");
        stage.end(&order).await;
        assert_eq!(stage.read(&alice(), &order.stdout).await.unwrap(), "mine\n");
        let folder = stage.path("alice/w");
        fs::remove_file(folder.join("shadow")).unwrap();
        symlink(etc.join("shadow"), folder.join("shadow")).unwrap();
        let read = stage.read(&alice(), &order.stdout).await;
        assert!(matches!(read, Err(OpenError::Denied)), "{read:?}");
        fs::remove_dir_all(&folder).unwrap();
        symlink(&etc, &folder).unwrap();
        let read = stage.read(&alice(), &order.stdout).await;
        assert!(matches!(read, Err(OpenError::Denied)), "{read:?}");
        // A helper is hidden, so the way through its own descriptors is closed too.
        fs::remove_file(&folder).unwrap();
        symlink("/proc/self/fd", &folder).unwrap();
        let magic = StreamFile { root: stage.path("alice"), path: "w/3".into() };
        assert!(stage.read(&alice(), &magic).await.is_err());
    }

    pub async fn a_stream_is_opened_as_alice_wherever_it_is_and_a_pipe_is_none() {
        let stage = Stage::new();
        let order = stage.writing_to(&alice(), Path::new("out"), "echo hers; mkfifo pipe; mkdir d");
        stage.end(&order).await;
        let stream = |path: &str| StreamFile { root: stage.path("alice"), path: path.into() };
        assert_eq!(stage.read(&alice(), &stream("out")).await.unwrap(), "hers\n");
        let bobs = stage.read(&bob(), &stream("out")).await;
        assert!(matches!(bobs, Err(OpenError::Denied)), "{bobs:?}");
        for (path, is_regular) in [("pipe", false), ("d", false), ("/dev/null", false)] {
            let read = stage.read(&alice(), &stream(path)).await;
            assert!(matches!(read, Err(OpenError::NotRegular)) != is_regular, "{path} {read:?}");
        }
        // Groups are hers too: a file of a group that she is in.
        let shared = stage.path("shared");
        fs::write(&shared, "ours").unwrap();
        chown(&shared, Some(0), Some(23_021)).unwrap();
        mode(&shared, 0o640);
        let stream = StreamFile { root: stage.path(""), path: "shared".into() };
        assert_eq!(stage.read(&alice(), &stream).await.unwrap(), "ours");
        let alone = Person { groups: Vec::new(), ..alice() };
        assert!(matches!(stage.read(&alone, &stream).await, Err(OpenError::Denied)));
    }

    pub async fn on_a_file_system_that_hangs_readers_are_told_so_and_bob_s_stream_is_opened() {
        let name = "on_a_file_system_that_hangs_readers_are_told_so_and_bob_s_stream_is_opened";
        let stage = Stage::new();
        let Some(_hanging) = files::Mount::hanging(&stage, name) else { return };
        let order = stage.order(&bob(), "echo his > out");
        stage.end(&order).await;
        let his = StreamFile { root: stage.path("bob"), path: "out".into() };
        let hanging = StreamFile { root: stage.path("alice"), path: "hangs/out".into() };
        let begun = Instant::now();
        let (hers, bobs) = (alice(), bob());
        let readers = join_all((0..20).map(|_| stage.read(&hers, &hanging)));
        let (read, bobs) = futures_util::join!(readers, stage.read(&bobs, &his));
        assert_eq!(bobs.unwrap(), "his\n");
        assert!(begun.elapsed() < Duration::from_secs(5));
        let count = |is: fn(&OpenError) -> bool| {
            read.iter().filter(|read| is(read.as_ref().unwrap_err())).count()
        };
        assert_eq!(count(|e| matches!(e, OpenError::Timeout)), 4, "{read:?}");
        assert_eq!(count(|e| matches!(e, OpenError::Busy)), 16, "{read:?}");
        // Their helpers are gone, and so their places are free.
        let again = stage.read(&alice(), &hanging).await;
        assert!(matches!(again, Err(OpenError::Timeout)), "{again:?}");
    }

    pub async fn nobody_is_a_helper_for_root_or_for_one_below_the_floor() {
        let stage = Stage::new();
        let stream = StreamFile { root: "/etc".into(), path: "shadow".into() };
        for uid in [0, 999, u32::MAX] {
            let toor = Person { uid, ..alice() };
            let read = stage.read(&toor, &stream).await;
            assert!(matches!(read, Err(OpenError::Io(_))), "{uid} {read:?}");
        }
        let stage = Stage::with(|config| config.people = false);
        let stream = StreamFile { root: "/etc".into(), path: "passwd".into() };
        assert!(matches!(stage.read(&alice(), &stream).await, Err(OpenError::Io(_))));
    }

    pub async fn a_folder_is_removed_with_what_others_left_in_it_and_nothing_outside_of_it() {
        let stage = Stage::new();
        let script = format!(
            "mkdir -p many closed/inner deep; touch closed/inner/file; chmod 0 closed
             seq 20000 | (cd many && xargs touch); ln -s {} deep/link; mkdir mount",
            stage.path("bob").display()
        );
        let mut order = stage.order(&alice(), &script);
        let own = order.own_folder.clone().unwrap();
        order.working_directory = own.join("work");
        order.create_working_directory = true;
        assert_eq!(stage.end(&order).await.exit_code, exited(0));
        let kept = stage.path("bob/kept");
        fs::write(&kept, "").unwrap();
        fs::create_dir(own.join("work/deep/of-root")).unwrap();
        fs::write(own.join("work/deep/of-root/file"), "").unwrap();
        let mount = own.join("work/mount");
        let mounted = files::Mount::bind(&stage.path("bob"), &mount);
        let removed = stage.engine.remove_tree(Some(alice()), own.clone()).await;
        let stuck = removed.unwrap_err();
        assert!(stuck.contains("work/mount: something is mounted there"), "{stuck}");
        // Others are not held up by it.
        let other = stage.order(&alice(), "true");
        stage.end(&other).await;
        let other = other.own_folder.unwrap();
        assert_eq!(stage.engine.remove_tree(Some(alice()), other.clone()).await, Ok(()));
        assert!(!other.exists() && kept.exists());
        drop(mounted);
        assert_eq!(stage.engine.remove_tree(Some(alice()), own.clone()).await, Ok(()));
        assert!(!own.exists() && kept.exists());
    }
}
