//! A build beside whatever else is done: the next step's, while the board tests this one. It runs on a thread of its own, with all that it needs
//! of the tree in its hands, at a lower priority than anything that tests a board.

use super::job::{Built, Job};
use super::stopwatch::Stopwatch;
use crate::host::interrupt::Stop;
use anyhow::{Result, anyhow};
use std::thread::JoinHandle;

/// nice(2) of the thread and of all that it starts; `make` adds its own. The priority of its reading and writing follows from it
/// (Documentation/block/ioprio.rst).
const NICE: i32 = 10;

/// What a build beside something else gave.
pub struct Finished {
    /// The build; its staging folder is still one of its own.
    pub built: Result<Built>,
    /// Where its time went, by phase.
    pub phases: Vec<(String, f64)>,
}

/// A build that goes on. Dropped, it is broken off.
pub struct Ahead {
    stop: Stop,
    thread: Option<JoinHandle<Finished>>,
}

impl Ahead {
    /// Begins it. `over` is called when it has ended, however it did.
    pub fn begin(job: Job, over: impl FnOnce() + Send + 'static) -> Self {
        let stop = Stop::default();
        let rule = stop.clone();
        let work = move || {
            rule.rule_this_thread();
            // Where the priority cannot be lowered it is built all the same.
            let _ = rustix::process::setpriority_process(None, NICE);
            let mut watch = Stopwatch::default();
            let built = job.run(&mut watch, &mut |_| {});
            over();
            Finished {
                built,
                phases: watch.phases,
            }
        };
        Ahead {
            stop,
            thread: Some(std::thread::spawn(work)),
        }
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Finished {
        let thread = self.thread.take().expect("it is waited for once");
        thread.join().unwrap_or_else(|_| Finished {
            built: Err(anyhow!("the build beside the tests panicked")),
            phases: Vec::new(),
        })
    }
}

impl Drop for Ahead {
    /// make is ended with all that it started; what is compiled stays.
    fn drop(&mut self) {
        self.stop.ask();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
