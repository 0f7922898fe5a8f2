//! *Purpose*: the system calls that no safe crate offers.
//!
//! *Owns*: every `unsafe` block of the house: fork, posix_spawn, fork and exec within bounds,
//! wait4 with its usage, signal masks, closing descriptors by range.
//!
//! *Promises*: each function is safe to call as documented; nothing here decides anything.
//!
//! *Not here*: calls that rustix wraps safely (pidfd, flock, openat2, affinity), made where
//! they are needed.
#![allow(unsafe_code, reason = "the one place for system calls without a safe wrapper")]

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::kernel::job::{ExitCode, Usage};

fn check(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// Forks; the child runs `child` and ends with its answer, never returning to the caller.
/// Only a process with a single thread may call this: a lock held by another thread would
/// stay locked in the child for ever.
///
/// # Errors
/// When the system refuses another process.
pub fn fork(child: impl FnOnce() -> i32) -> io::Result<i32> {
    /// A panic in the child must not unwind into the parent's loop, of which it holds a copy.
    struct EndHere;
    impl Drop for EndHere {
        fn drop(&mut self) {
            // SAFETY: _exit has no preconditions.
            unsafe { libc::_exit(101) }
        }
    }
    // SAFETY: the process is single-threaded by this function's contract, so the child finds
    // every lock free and may run ordinary code.
    let pid = check(unsafe { libc::fork() })?;
    if pid == 0 {
        let _end = EndHere;
        let code = child();
        // SAFETY: _exit has no preconditions; buffers of the parent must not be flushed twice.
        unsafe { libc::_exit(code) }
    }
    Ok(pid)
}

/// Starts a program in its own process group, with an empty signal mask, this process's standard
/// input and the two given streams. Signal dispositions are those of this process: asking
/// `posix_spawn` for the default ones costs 64 calls, [`block_all_signals`] has done it once.
///
/// # Errors
/// What `posix_spawn` says: the reason why the program could not be executed.
pub fn spawn(
    program: &CStr,
    arguments: &[CString],
    environment: &[CString],
    stdout: BorrowedFd<'_>,
    stderr: BorrowedFd<'_>,
) -> io::Result<i32> {
    let pointers = |strings: &[CString]| -> Vec<*mut libc::c_char> {
        strings.iter().map(|s| s.as_ptr().cast_mut()).chain([std::ptr::null_mut()]).collect()
    };
    let (argv, envp) = (pointers(arguments), pointers(environment));
    let yes = |answer: libc::c_int| {
        if answer == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(answer)) }
    };
    // SAFETY: `actions` and `attributes` are initialised by their init functions before any
    // other use and destroyed once; argv and envp end with null and outlive the call; the
    // program's path is a C string.
    unsafe {
        let mut actions = std::mem::zeroed::<libc::posix_spawn_file_actions_t>();
        let mut attributes = std::mem::zeroed::<libc::posix_spawnattr_t>();
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut none);
        yes(libc::posix_spawn_file_actions_init(&raw mut actions))?;
        yes(libc::posix_spawnattr_init(&raw mut attributes))?;
        let flags = libc::POSIX_SPAWN_SETPGROUP | libc::POSIX_SPAWN_SETSIGMASK;
        let mut pid = 0;
        let (out, err) = (stdout.as_raw_fd(), stderr.as_raw_fd());
        let result = yes(libc::posix_spawn_file_actions_adddup2(&raw mut actions, out, 1))
            .and_then(|()| yes(libc::posix_spawn_file_actions_adddup2(&raw mut actions, err, 2)))
            .and_then(|()| yes(libc::posix_spawnattr_setflags(&raw mut attributes, flags as _)))
            .and_then(|()| yes(libc::posix_spawnattr_setpgroup(&raw mut attributes, 0)))
            .and_then(|()| {
                yes(libc::posix_spawnattr_setsigmask(&raw mut attributes, &raw const none))
            })
            .and_then(|()| {
                yes(libc::posix_spawn(
                    &raw mut pid,
                    program.as_ptr(),
                    &raw const actions,
                    &raw const attributes,
                    argv.as_ptr(),
                    envp.as_ptr(),
                ))
            });
        libc::posix_spawn_file_actions_destroy(&raw mut actions);
        libc::posix_spawnattr_destroy(&raw mut attributes);
        result.map(|()| pid)
    }
}

/// What a program is kept within from its first instruction.
#[derive(Clone, Copy, Debug)]
pub enum Within<'a> {
    /// The control group whose `cgroup.procs` this is, open for writing.
    Group(BorrowedFd<'a>),
    /// So many bytes of data for each process.
    Data(u64),
}

/// Why [`spawn_within`] started nothing.
#[derive(Debug)]
pub enum NotSpawned {
    /// There is no process for it, or it cannot be kept within its bounds.
    Within(io::Error),
    /// The program cannot be executed.
    Program(io::Error),
}

/// As [`spawn`], within bounds. `posix_spawn` knows neither control groups nor limits, so this is
/// a fork whose child makes nothing but system calls: any process may call it.
///
/// # Errors
/// Why not; no process is left then.
pub fn spawn_within(
    within: Within<'_>,
    program: &CStr,
    arguments: &[CString],
    environment: &[CString],
    stdout: BorrowedFd<'_>,
    stderr: BorrowedFd<'_>,
) -> Result<i32, NotSpawned> {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(arguments), pointers(environment));
    let none = set_of(&[]);
    let pipe = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
    let (told, tell) = pipe.map_err(|e| NotSpawned::Within(e.into()))?;
    // SAFETY: between fork and exec the child calls only functions that are async-signal-safe, on
    // memory that was made before the fork and that nobody else has; it never returns. argv and
    // envp end with null and outlive the call.
    let pid = unsafe {
        let pid = check(libc::fork()).map_err(NotSpawned::Within)?;
        if pid == 0 {
            let mut stage = BOUNDS;
            let entered = match within {
                Within::Group(door) => libc::write(door.as_raw_fd(), c"0".as_ptr().cast(), 1) == 1,
                Within::Data(bytes) => limit_data(bytes),
            };
            if entered {
                stage = PROGRAM;
                if libc::setpgid(0, 0) == 0
                    && libc::dup2(stdout.as_raw_fd(), 1) == 1
                    && libc::dup2(stderr.as_raw_fd(), 2) == 2
                    && libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut())
                        == 0
                {
                    libc::execve(program.as_ptr(), argv.as_ptr(), envp.as_ptr());
                }
            }
            let why = (*libc::__errno_location()).to_ne_bytes();
            let word = [stage, why[0], why[1], why[2], why[3]];
            libc::write(tell.as_raw_fd(), word.as_ptr().cast(), word.len());
            libc::_exit(127);
        }
        pid
    };
    drop(tell);
    let mut word = [0; 5];
    let read = rustix::io::retry_on_intr(|| rustix::io::read(&told, &mut word));
    // The end without a word: the exec closed it, or death came first, which whoever reaps sees.
    let Ok(5) = read else { return Ok(pid) };
    // SAFETY: it is our child, about to end or ended; its status is not asked for.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    let [stage, why @ ..] = word;
    let why = io::Error::from_raw_os_error(i32::from_ne_bytes(why));
    Err(if stage == BOUNDS { NotSpawned::Within(why) } else { NotSpawned::Program(why) })
}

/// Where a child of [`spawn_within`] failed.
const BOUNDS: u8 = 0;
/// See [`BOUNDS`].
const PROGRAM: u8 = 1;

/// Limits the data of this process and of those it starts. Only system calls.
fn limit_data(bytes: u64) -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for writes and for reads.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_DATA, &raw mut limit) != 0 {
            return false;
        }
        limit.rlim_max = limit.rlim_max.min(bytes);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) == 0
    }
}

/// What [`reap`] found.
#[derive(Debug)]
pub enum Reaped {
    /// A child ended, and this is how and what it and its reaped children used.
    Child(i32, ExitCode, Usage),
    /// There are children; none has ended.
    NoneReady,
    /// There are no children.
    NoChildren,
}

/// Takes one ended child, without waiting.
#[must_use]
pub fn reap() -> Reaped {
    // SAFETY: both out-pointers are valid for writes; rusage is plain integers, so zeroes are
    // a value of it.
    let (pid, status, used) = unsafe {
        let mut status = 0;
        let mut used = std::mem::zeroed::<libc::rusage>();
        (libc::wait4(-1, &raw mut status, libc::WNOHANG, &raw mut used), status, used)
    };
    if pid < 0 {
        return Reaped::NoChildren;
    }
    if pid == 0 {
        return Reaped::NoneReady;
    }
    let byte = |n: i32| u8::try_from(n).unwrap_or(u8::MAX);
    let code = if libc::WIFSIGNALED(status) {
        ExitCode { code: 0, signal: byte(libc::WTERMSIG(status)) }
    } else {
        ExitCode { code: byte(libc::WEXITSTATUS(status)), signal: 0 }
    };
    let us = |t: libc::timeval| t.tv_sec.saturating_mul(1_000_000).saturating_add(t.tv_usec);
    let usage = Usage {
        user_us: us(used.ru_utime),
        system_us: us(used.ru_stime),
        max_rss_bytes: used.ru_maxrss.saturating_mul(1024),
    };
    Reaped::Child(pid, code, usage)
}

/// Blocks every signal that can be blocked and gives each its default disposition: from here
/// on signals are read, not suffered.
pub fn block_all_signals() {
    // SAFETY: the set is initialised before use; SIG_DFL is valid for every signal, and the
    // call fails harmlessly for those that cannot be changed.
    unsafe {
        let mut all = std::mem::zeroed::<libc::sigset_t>();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
        for signal in 1..=libc::SIGRTMAX() {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}

fn set_of(signals: &[libc::c_int]) -> libc::sigset_t {
    // SAFETY: the set is initialised by sigemptyset before signals are added.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        set
    }
}

/// A descriptor that is readable while a child's end is unread; SIGCHLD must be blocked.
///
/// # Errors
/// When no descriptor is left.
pub fn child_signals() -> io::Result<OwnedFd> {
    let set = set_of(&[libc::SIGCHLD]);
    // SAFETY: the set is initialised; a descriptor that signalfd returns is ours alone.
    unsafe {
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        let fd = check(libc::signalfd(-1, &raw const set, flags))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Waits until a child has ended, SIGUSR1 has come or the time is over; answers whether it
/// was SIGUSR1. Both signals must be blocked. May return early, for no reason.
#[must_use]
pub fn wait_child_or_poke(timeout: Option<Duration>) -> bool {
    let set = set_of(&[libc::SIGCHLD, libc::SIGUSR1]);
    let time = timeout.map(|t| libc::timespec {
        tv_sec: libc::time_t::try_from(t.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: t.subsec_nanos().into(),
    });
    let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the set is initialised, `time` is null or points to a living timespec, and the
    // signal's details are not asked for.
    unsafe { libc::sigtimedwait(&raw const set, std::ptr::null_mut(), time) == libc::SIGUSR1 }
}

/// Closes every descriptor from 3 upward except `keep`. Owners of the closed ones in this
/// process must never be used or dropped again: only a forked child that ends by `_exit` may
/// call this.
pub fn close_all_but(mut keep: Vec<RawFd>) {
    keep.sort_unstable();
    let mut from: libc::c_uint = 3;
    let upper = keep.iter().filter_map(|fd| libc::c_uint::try_from(*fd).ok());
    for fd in upper.chain([libc::c_uint::MAX]).filter(|fd| *fd >= 3).collect::<Vec<_>>() {
        if fd > from {
            let to = if fd == libc::c_uint::MAX { fd } else { fd - 1 };
            // SAFETY: closing descriptors touches no memory; that nobody uses them any more
            // is this function's contract.
            unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) };
        }
        from = fd.saturating_add(1);
    }
}

/// Puts `file` in the place of standard input and standard output.
///
/// # Errors
/// When the system refuses.
pub fn replace_stdin_and_stdout(file: BorrowedFd<'_>) -> io::Result<()> {
    for standard in [0, 1] {
        // SAFETY: dup2 onto 0 and 1 closes the old ones, which no Rust owner holds.
        check(unsafe { libc::dup2(file.as_raw_fd(), standard) })?;
    }
    Ok(())
}

/// Lets the async runtime watch a descriptor for being readable.
///
/// # Errors
/// When the runtime cannot watch another.
pub fn watch_readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` names the same open descriptor until it is dropped, and the
    // `AsyncFd` owns it, so it stays registered for no longer than it is open.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}
