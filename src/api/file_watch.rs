//! *Purpose*: wakes those who follow a file when it grows, and when its name may lead elsewhere.
//!
//! *Owns*: the server's one inotify instance and its watches.
//!
//! *Promises*: a file is watched while somebody follows it; where inotify is refused, followers
//! look every 250 ms, and `/info` says so.
//!
//! *Not here*: reading (`api::log_stream`).

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::StreamExt;
use inotify::{Inotify, WatchDescriptor, WatchMask, Watches};
use tokio::sync::Notify;

/// How often a followed file is looked at where inotify is refused, and one that is not there.
pub const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Bytes of one read of inotify events.
const EVENTS_BYTES: usize = 4_096;

/// A file grows, is cut, loses a name (its links are an attribute) or gets another.
fn growth_or_loss() -> WatchMask {
    WatchMask::MODIFY | WatchMask::CLOSE_WRITE | WatchMask::ATTRIB | WatchMask::MOVE_SELF
}

/// Followed files. The mutex guards watches only, for microseconds.
pub struct FileWatcher {
    watches: Option<Watches>,
    followed: Mutex<HashMap<WatchDescriptor, (Arc<Notify>, usize)>>,
}

impl FileWatcher {
    /// Starts watching on the current runtime.
    #[must_use]
    pub fn start() -> Arc<FileWatcher> {
        let stream = Inotify::init().and_then(|i| {
            let w = i.watches();
            Ok((w, i.into_event_stream(vec![0; EVENTS_BYTES])?))
        });
        let (watches, stream) = match stream {
            Ok((watches, stream)) => (Some(watches), Some(stream)),
            Err(error) => {
                log::warn!("inotify is refused ({error}): followed logs are looked at in turns");
                (None, None)
            }
        };
        let file_watcher = Arc::new(FileWatcher { watches, followed: Mutex::new(HashMap::new()) });
        if let Some(mut stream) = stream {
            let file_watcher = Arc::clone(&file_watcher);
            actix_rt::spawn(async move {
                while let Some(event) = stream.next().await {
                    match event {
                        Ok(event) => file_watcher.tell(&event.wd),
                        Err(error) => log::warn!("inotify: {error}"),
                    }
                }
            });
        }
        file_watcher
    }

    /// Whether inotify works here.
    #[must_use]
    pub fn works(&self) -> bool {
        self.watches.is_some()
    }

    fn followed(&self) -> MutexGuard<'_, HashMap<WatchDescriptor, (Arc<Notify>, usize)>> {
        self.followed.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn tell(&self, file: &WatchDescriptor) {
        if let Some((notify, _)) = self.followed().get(file) {
            notify.notify_waiters();
        }
    }

    /// Watches a file until the answer is dropped.
    #[must_use]
    pub fn follow(self: &Arc<FileWatcher>, path: &Path) -> Followed {
        let mut followed = self.followed();
        let watch = self.watches.clone().and_then(|mut w| w.add(path, growth_or_loss()).ok());
        let watch = watch.map(|descriptor| {
            let entry = followed.entry(descriptor.clone()).or_default();
            entry.1 += 1;
            (descriptor, Arc::clone(&entry.0))
        });
        drop(followed);
        Followed { file_watcher: Arc::clone(self), watch }
    }
}

/// One follower's hold on a watch.
pub struct Followed {
    file_watcher: Arc<FileWatcher>,
    watch: Option<(WatchDescriptor, Arc<Notify>)>,
}

impl Followed {
    /// A wait that already counts: make it before reading, await it afterwards.
    pub fn grows(&self) -> impl Future<Output = ()> + 'static {
        let notified = self.watch.as_ref().map(|(_, notify)| Arc::clone(notify).notified_owned());
        async move {
            match notified {
                Some(notified) => notified.await,
                None => actix_rt::time::sleep(LOOK_EVERY).await,
            }
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let Some((descriptor, _)) = self.watch.take() else { return };
        let mut followed = self.file_watcher.followed();
        let Some(entry) = followed.get_mut(&descriptor) else { return };
        entry.1 -= 1;
        if entry.1 == 0 {
            followed.remove(&descriptor);
            if let Some(mut watches) = self.file_watcher.watches.clone() {
                // The file may be gone, and its watch with it.
                let _gone = watches.remove(descriptor);
            }
        }
    }
}
