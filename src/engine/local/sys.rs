//! *Purpose*: the system calls that no safe crate offers.
//!
//! *Owns*: every `unsafe` block of the house: fork, a process that may share its parent's memory,
//! exec, wait4 with its usage, signal masks, closing descriptors by range, programs of the kernel,
//! session keyrings, the numbers of a process.
//!
//! *Promises*: each function is safe to call as documented; nothing here decides anything.
//!
//! *Not here*: calls that rustix wraps safely (pidfd, flock, openat2, affinity), made where
//! they are needed.
#![allow(unsafe_code, reason = "the one place for system calls without a safe wrapper")]

use std::ffi::{CStr, CString};
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::thread::Gid;
use syscalls::Sysno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::persons::GROUPS_MAX;
use crate::job::outcome::{ExitCode, Usage};

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

/// A program with its arguments and its environment, as the system wants them.
pub struct Program {
    path: CString,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    /// What the pointers point to.
    _strings: [Vec<CString>; 2],
}

// SAFETY: the pointers lead into strings that the program owns and nobody changes.
unsafe impl Sync for Program {}

impl Program {
    /// The first argument is the program's path.
    #[must_use]
    pub fn new(arguments: Vec<CString>, environment: Vec<CString>) -> Program {
        let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
            strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
        };
        Program {
            path: arguments.first().cloned().unwrap_or_default(),
            argv: pointers(&arguments),
            envp: pointers(&environment),
            _strings: [arguments, environment],
        }
    }

    /// Becomes it. All that is open and not closed on exec is handed on, and so are the signal mask
    /// and the dispositions that ignore. Returns only when it cannot.
    #[must_use]
    pub fn become_it(&self) -> Errno {
        // SAFETY: the path is a C string; argv and envp are arrays of C strings that end with null;
        // all of them live as long as `self`.
        let answer = unsafe {
            let (argv, envp) = (self.argv.as_ptr(), self.envp.as_ptr());
            syscalls::syscall!(Sysno::execve, self.path.as_ptr(), argv, envp)
        };
        errno(answer.err())
    }
}

/// Where a process runs that shares the memory of the one that started it.
pub struct Stack(Box<[u128]>);

/// Several times what [`start_beside`] and the deepest act need, also without optimisation; only
/// what is touched is ever backed by memory.
const STACK_BYTES: usize = 256 * 1024;

impl Stack {
    /// A new one.
    #[must_use]
    pub fn new() -> Stack {
        Stack(vec![0; STACK_BYTES / size_of::<u128>()].into_boxed_slice())
    }
}

/// Whose memory a process acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Its parent's.
    Shared,
    /// A copy of that.
    Copied,
}

/// A process that may share the memory of its parent, until it executes a program or ends.
#[derive(Debug)]
pub struct Beside<'a> {
    /// Its number.
    pub pid: i32,
    /// Where it tells what it has to tell; closed when it has executed a program, or ended.
    pub told: OwnedFd,
    _reads: PhantomData<&'a ()>,
}

/// Starts a process that acts on `data`, on a stack of its own, while this one goes on; then it
/// ends with the answer. At most it shares this one's memory: descriptors, the working folder,
/// limits are its own copies. The act may take and free no memory, may not panic and may
/// use no function of the C library that sets `errno`. Nobody may change what it reads or forget it
/// before `told` has ended: which is what the lifetime says.
///
/// # Errors
/// When the system refuses another process or descriptor.
pub fn start_beside<'a, T: Sync>(
    stack: &'a mut Stack,
    memory: Memory,
    data: &'a T,
    act: fn(&T, BorrowedFd<'_>) -> i32,
) -> io::Result<Beside<'a>> {
    struct Task<T> {
        data: *const T,
        act: fn(&T, BorrowedFd<'_>) -> i32,
        tell: RawFd,
    }
    extern "C" fn begin<T>(task: *mut libc::c_void) -> libc::c_int {
        // SAFETY: the parent keeps the task and its data until this process has ended or executed a
        // program, and nobody changes them; the descriptor is this process's own copy.
        unsafe {
            let task = &*task.cast::<Task<T>>();
            (task.act)(&*task.data, BorrowedFd::borrow_raw(task.tell))
        }
    }
    let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
    let (told, tell) = rustix::pipe::pipe_with(flags)?;
    let task = Task { data: std::ptr::from_ref(data), act, tell: tell.as_raw_fd() };
    let places = size_of::<Task<T>>().div_ceil(size_of::<u128>());
    let top = stack.0.len() - places;
    // SAFETY: the task is written into the upper end of the stack, which is aligned for it and
    // large enough; the child's stack begins below it and grows downwards within the same
    // allocation. It is borrowed for as long as the process may use it.
    let pid = unsafe {
        let top = stack.0.as_mut_ptr().add(top);
        top.cast::<Task<T>>().write(task);
        let shared = if memory == Memory::Shared { libc::CLONE_VM } else { 0 };
        let flags = shared | libc::SIGCHLD;
        check(libc::clone(begin::<T>, top.cast(), flags, top.cast()))?
    };
    Ok(Beside { pid, told, _reads: PhantomData })
}

fn errno(error: Option<syscalls::Errno>) -> Errno {
    Errno::from_raw_os_error(error.map_or(0, syscalls::Errno::into_raw))
}

/// Leaves the keyring of its session for a new one, which is empty.
///
/// # Errors
/// What the system says; `NOSYS` where there are no keyrings.
pub fn join_new_session_keyring() -> Result<(), Errno> {
    /// `KEYCTL_JOIN_SESSION_KEYRING`; without a name the new one is nobody else's.
    const JOIN: usize = 1;
    const NAMELESS: usize = 0;
    // SAFETY: the call takes two numbers, the second in the place of a null pointer.
    let answer = unsafe { syscalls::syscall!(Sysno::keyctl, JOIN, NAMELESS) };
    answer.map(drop).map_err(|e| errno(Some(e)))
}

/// The real, effective and saved number of the user whose process this is.
///
/// # Errors
/// Never, on a Linux in use.
pub fn user_numbers() -> Result<[u32; 3], Errno> {
    three_numbers(Sysno::getresuid)
}

/// The same of the group.
///
/// # Errors
/// Never, on a Linux in use.
pub fn group_numbers() -> Result<[u32; 3], Errno> {
    three_numbers(Sysno::getresgid)
}

fn three_numbers(which: Sysno) -> Result<[u32; 3], Errno> {
    let (mut real, mut effective, mut saved) = (u32::MAX, u32::MAX, u32::MAX);
    // SAFETY: both calls write three numbers of this size to where the pointers lead.
    let answer =
        unsafe { syscalls::syscall!(which, &raw mut real, &raw mut effective, &raw mut saved) };
    answer.map(|_| [real, effective, saved]).map_err(|e| errno(Some(e)))
}

/// Whether the supplementary groups of this process are these, which rise.
///
/// # Errors
/// What the system says; above all that it has more than any process may here.
pub fn has_groups(groups: &[Gid]) -> Result<bool, Errno> {
    let mut seen = [0_u32; GROUPS_MAX];
    // SAFETY: the system writes at most as many numbers as there is room for.
    let answer = unsafe { syscalls::syscall!(Sysno::getgroups, seen.len(), seen.as_mut_ptr()) };
    let count = answer.map_err(|e| errno(Some(e)))?;
    let seen = seen.get(..count).unwrap_or_default().iter();
    Ok(seen.copied().eq(groups.iter().map(|gid| gid.as_raw())))
}

/// Closes every descriptor from 3 upward but these, by the system alone: a Linux before 5.9 leaves
/// them open until a program is executed. Only a child that executes a program or ends by its act
/// may call this.
pub fn close_files_but(one: BorrowedFd<'_>, other: Option<BorrowedFd<'_>>) {
    let one = one.as_raw_fd();
    let other = other.map_or(one, |other| other.as_raw_fd());
    let (low, high) = (one.min(other), one.max(other));
    for (from, to) in [(3, low - 1), (low + 1, high - 1), (high + 1, RawFd::MAX)] {
        if from <= to {
            // SAFETY: closing descriptors touches no memory; whoever owns them here never runs
            // again in this process.
            let _open_at_worst = unsafe { syscalls::syscall!(Sysno::close_range, from, to, 0) };
        }
    }
}

/// Puts a Landlock ruleset into force for this process, and whoever it becomes and starts.
///
/// # Errors
/// What the system says.
pub fn restrict_self(ruleset: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: the call takes two numbers.
    let answer =
        unsafe { syscalls::syscall!(Sysno::landlock_restrict_self, ruleset.as_raw_fd(), 0) };
    answer.map(drop).map_err(|e| errno(Some(e)))
}

/// Tries whether a process may enter the control group behind this door. Any process may call this:
/// the child makes nothing but system calls.
///
/// # Errors
/// What the system says.
pub fn try_to_enter(door: BorrowedFd<'_>) -> io::Result<()> {
    try_in_child(|| enter(door))
}

/// Tries whether a process that has entered the control group behind this door may open a file. Any
/// process may call this.
///
/// # Errors
/// What the system says, to the one or the other.
pub fn try_to_open_within(door: BorrowedFd<'_>, path: &CStr) -> io::Result<()> {
    // SAFETY: the path is a C string; the descriptor ends with the child.
    try_in_child(|| enter(door) && unsafe { libc::open(path.as_ptr(), libc::O_RDONLY) } >= 0)
}

fn enter(door: BorrowedFd<'_>) -> bool {
    // SAFETY: the text is of the length that is given.
    unsafe { libc::write(door.as_raw_fd(), c"0".as_ptr().cast(), 1) == 1 }
}

/// Whether an act succeeds in a child, which may do nothing but system calls; its failure is what
/// `errno` says.
fn try_in_child(act: impl FnOnce() -> bool) -> io::Result<()> {
    // SAFETY: between fork and its end the child calls only functions that are async-signal-safe,
    // on memory that nobody else changes; the parent asks for the end of its own child.
    let status = unsafe {
        let pid = check(libc::fork())?;
        if pid == 0 {
            libc::_exit(if act() { 0 } else { *libc::__errno_location() });
        }
        let mut status = 0;
        check(libc::waitpid(pid, &raw mut status, 0))?;
        status
    };
    match (libc::WIFEXITED(status), libc::WEXITSTATUS(status)) {
        (true, 0) => Ok(()),
        (true, errno) => Err(io::Error::from_raw_os_error(errno)),
        (false, _) => Err(io::Error::other("the trial was killed")),
    }
}

/// Loads a program that decides on the opening of devices, one word for each instruction.
///
/// # Errors
/// What the system says: above all that this process may not.
pub fn load_device_program(instructions: &[u64]) -> io::Result<OwnedFd> {
    /// The first part of `union bpf_attr` for this command; what is left out counts as zero.
    #[repr(C)]
    struct Load {
        kind: u32,
        count: u32,
        instructions: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log: u64,
        kernel: u32,
        flags: u32,
    }
    /// `BPF_PROG_LOAD`
    const COMMAND: libc::c_long = 5;
    /// `BPF_PROG_TYPE_CGROUP_DEVICE`
    const KIND: u32 = 15;
    let load = Load {
        kind: KIND,
        count: u32::try_from(instructions.len()).unwrap_or(u32::MAX),
        instructions: instructions.as_ptr() as u64,
        license: c"MIT".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel: 0,
        flags: 0,
    };
    // SAFETY: the system reads the structure, the instructions and the license, which live until
    // the call returns; a descriptor that it answers is ours alone.
    unsafe {
        let fd = libc::syscall(libc::SYS_bpf, COMMAND, &raw const load, size_of::<Load>());
        let fd = check(libc::c_int::try_from(fd).unwrap_or(-1))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Has a control group of version 2 ask this program, besides those that it asks already.
///
/// # Errors
/// What the system says.
pub fn attach_device_program(group: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    /// The part of `union bpf_attr` for this command.
    #[repr(C)]
    struct Attach {
        target: RawFd,
        program: RawFd,
        kind: u32,
        flags: u32,
    }
    /// `BPF_PROG_ATTACH`
    const COMMAND: libc::c_long = 8;
    /// `BPF_CGROUP_DEVICE`
    const KIND: u32 = 6;
    /// `BPF_F_ALLOW_MULTI`: each program of a group and of those above is asked; all must allow.
    const FLAGS: u32 = 2;
    let (target, program) = (group.as_raw_fd(), program.as_raw_fd());
    let attach = Attach { target, program, kind: KIND, flags: FLAGS };
    // SAFETY: the system reads the structure, which lives until the call returns.
    let answer =
        unsafe { libc::syscall(libc::SYS_bpf, COMMAND, &raw const attach, size_of::<Attach>()) };
    check(libc::c_int::try_from(answer).unwrap_or(-1)).map(drop)
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

/// Lets every signal through again: for a child that is about to become a program.
pub fn unblock_all_signals() {
    let none = 0_u64;
    // SAFETY: the system's own set of signals is 64 bits; the former one is not asked for. It
    // cannot fail: the arguments are right.
    let _cannot_fail = unsafe {
        syscalls::syscall!(
            Sysno::rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            std::ptr::null_mut::<u64>(),
            size_of::<u64>()
        )
    };
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
    signals(&[libc::SIGCHLD])
}

/// The same for a child's end and for the server's poke; both signals must be blocked.
///
/// # Errors
/// When no descriptor is left.
pub fn child_signals_and_pokes() -> io::Result<OwnedFd> {
    signals(&[libc::SIGCHLD, libc::SIGUSR1])
}

fn signals(which: &[libc::c_int]) -> io::Result<OwnedFd> {
    let set = set_of(which);
    // SAFETY: the set is initialised; a descriptor that signalfd returns is ours alone.
    unsafe {
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        let fd = check(libc::signalfd(-1, &raw const set, flags))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Has this process end when so long has passed, whatever it waits for and whoever has stopped it.
pub fn end_within(life: Duration) {
    let seconds = libc::c_uint::try_from(life.as_secs()).unwrap_or(libc::c_uint::MAX);
    unblock_all_signals();
    // SAFETY: the calls touch no memory; the signal's default is to end the process.
    unsafe {
        libc::signal(libc::SIGALRM, libc::SIG_DFL);
        libc::alarm(seconds);
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

fn close_range(from: libc::c_uint, to: libc::c_uint) {
    // SAFETY: closing descriptors touches no memory; that nobody uses them any more is the contract
    // of [`close_all_but`].
    if unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) } == 0 {
        return;
    }
    // Linux before 5.9: each by its name.
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<libc::c_uint> =
        open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| (from..=to).contains(fd)) {
        // SAFETY: as above; one that is closed already (the listing's own) is an error of no
        // consequence.
        unsafe { libc::close(fd as libc::c_int) };
    }
}

/// How this process is scheduled, and served by disks; numbers as the system gives them.
#[derive(Debug, PartialEq, Eq)]
pub struct Classes {
    policy: libc::c_int,
    real_time_priority: libc::c_int,
    io_priority: libc::c_long,
}

/// See [`Classes`].
#[must_use]
pub fn classes() -> Classes {
    /// `IOPRIO_WHO_PROCESS`; with the number 0 this process.
    const THIS_PROCESS: libc::c_int = 1;
    // SAFETY: `parameters` is valid for writes; the other calls touch no memory.
    unsafe {
        let mut parameters = std::mem::zeroed::<libc::sched_param>();
        libc::sched_getparam(0, &raw mut parameters);
        Classes {
            policy: libc::sched_getscheduler(0),
            real_time_priority: parameters.sched_priority,
            io_priority: libc::syscall(libc::SYS_ioprio_get, THIS_PROCESS, 0),
        }
    }
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
            close_range(from, to);
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
