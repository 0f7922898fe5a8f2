//! *Purpose*: the tasks and CPUs that a submit body and its script's lines ask for.
//!
//! *Owns*: [`Shares`], what of body and lines counts, and reading the fields of a body.
//!
//! *Promises*: a body's word about tasks wins over the lines'; so does its number of CPUs, among
//! however many tasks of the lines it is shared out, if each gets the same.
//!
//! *Not here*: what a job's tasks are (`job::tasks`), whether a server has so many CPUs
//! (`kernel::admission`).

use super::asked_resources;
use super::fields::Fields;
use super::sbatch::{Directives, Placed};
use super::submission::FieldOrigins;
use crate::job::request::{GPU, Request};
use crate::job::spec::CpusAsked;
use crate::job::tasks::Tasks;

/// What the fields of a body say.
#[derive(Debug, Default)]
pub(super) struct Body {
    is_nested: bool,
    cpus: Option<u32>,
    tasks: Tasks,
    exclusive: Option<bool>,
}

/// What is asked for.
#[derive(Debug)]
pub struct Shares {
    /// What is said of tasks.
    pub tasks: Tasks,
    /// The CPUs of all of them.
    pub cpus: CpusAsked,
    /// GPUs, if there are any.
    pub gpus: Option<i64>,
}

impl Shares {
    /// What lines ask for alone.
    #[must_use]
    pub fn of_lines(lines: &Directives) -> Shares {
        let body = Body::default();
        let tasks = body.tasks(lines);
        let mut unheard = FieldOrigins::new(String::new(), String::new());
        let resources =
            asked_resources::Body::default().with(lines, tasks.count().into(), &mut unheard);
        body.with(lines, tasks, &resources, &mut unheard)
    }

    /// The CPUs, where that is a number.
    #[must_use]
    pub fn counted_cpus(&self) -> Option<i64> {
        match self.cpus {
            CpusAsked::Count(count) => Some(count),
            CpusAsked::All => None,
        }
    }
}

impl Body {
    pub(super) fn read(fields: &mut Fields<'_>, is_nested: bool) -> Body {
        let body = Body {
            is_nested,
            cpus: if is_nested { None } else { count(fields, "cpus") },
            tasks: Tasks {
                cpus_per_task: count(fields, "cpus_per_task"),
                ntasks: count(fields, "ntasks"),
                ntasks_per_node: count(fields, "ntasks_per_node"),
            },
            exclusive: fields.flag("exclusive"),
        };
        if let Some(fault) = body.tasks.fault() {
            fields.refuse("ntasks", fault);
        }
        let (tasks, each) = (body.tasks.count(), body.tasks.cpus_per_task);
        if let (Some(cpus), Some(each)) = (body.cpus, each)
            && i64::from(cpus) != body.tasks.cpus()
        {
            let product = body.tasks.cpus();
            let message = format!(
                "is {cpus}, but {each} CPUs of each of {tasks} tasks are {product}; send one"
            );
            fields.refuse("cpus", message);
        }
        body
    }

    /// What is said of tasks.
    pub(super) fn tasks(&self, lines: &Directives) -> Tasks {
        let own = self.tasks;
        let is_counted = own.ntasks.is_some() || own.ntasks_per_node.is_some();
        let of_lines = |line| if is_counted { None } else { value(line) };
        let tasks = Tasks {
            ntasks: own.ntasks.or(of_lines(&lines.ntasks)),
            ntasks_per_node: own.ntasks_per_node.or(of_lines(&lines.ntasks_per_node)),
            cpus_per_task: own.cpus_per_task.or(value(&lines.cpus_per_task)),
        };
        match self.cpus {
            // All of them are shared out anew.
            Some(cpus) if cpus % tasks.count() == 0 => {
                Tasks { cpus_per_task: own.cpus_per_task, ..tasks }
            }
            Some(_) => own,
            None => tasks,
        }
    }

    /// All that is asked for, with what follows from the number of GPUs.
    pub(super) fn with(
        &self,
        lines: &Directives,
        mut tasks: Tasks,
        resources: &Request,
        origins: &mut FieldOrigins,
    ) -> Shares {
        let gpus = u32::try_from(resources.of(GPU)).ok().filter(|gpus| *gpus > 0);
        let of_gpus = |each: &Option<Placed<u32>>| Some(value(each)?.saturating_mul(gpus?));
        if tasks.ntasks.is_none() && tasks.ntasks_per_node.is_none() {
            tasks.ntasks = of_gpus(&lines.ntasks_per_gpu);
        }
        self.say(lines, origins);
        let by_gpus = of_gpus(&lines.cpus_per_gpu).filter(|_| tasks.cpus_per_task.is_none());
        // Too many tasks for the CPUs is what overcommit asks for.
        let shared = lines.overcommit && self.tasks.is_unsaid();
        let of_tasks = if shared { tasks.cpus_per_task.unwrap_or(1).into() } else { tasks.cpus() };
        let least = value(&lines.mincpus).unwrap_or(1);
        let of_lines = by_gpus.map_or(of_tasks, i64::from).max(least.into());
        let cpus = if self.exclusive.unwrap_or(lines.exclusive) {
            CpusAsked::All
        } else {
            CpusAsked::Count(self.cpus.map_or(of_lines, i64::from))
        };
        Shares { tasks, cpus, gpus: gpus.map(i64::from) }
    }

    /// Notes what to name when the number of CPUs is refused.
    fn say(&self, lines: &Directives, origins: &mut FieldOrigins) {
        let own = [
            ("cpus", self.cpus),
            ("cpus_per_task", self.tasks.cpus_per_task),
            ("ntasks", self.tasks.ntasks),
            ("ntasks_per_node", self.tasks.ntasks_per_node),
        ];
        let of_lines = [
            &lines.cpus_per_task,
            &lines.ntasks,
            &lines.ntasks_per_node,
            &lines.cpus_per_gpu,
            &lines.ntasks_per_gpu,
            &lines.mincpus,
        ];
        if let Some((name, _)) = own.into_iter().find(|(_, said)| said.is_some()) {
            origins.say("cpus", name);
        } else if let Some(line) = of_lines.into_iter().find_map(Option::as_ref) {
            origins.line("cpus", &line.place);
        } else {
            origins.say("cpus", if self.is_nested { "cpus_per_task" } else { "cpus" });
        }
        let of_lines = lines.ntasks.as_ref().filter(|_| self.tasks.ntasks.is_none());
        match of_lines {
            Some(line) => origins.line("ntasks", &line.place),
            None => origins.say("ntasks", "ntasks"),
        }
    }
}

/// A count, at least 1.
fn count(fields: &mut Fields<'_>, name: &'static str) -> Option<u32> {
    let count = fields.whole(name)?;
    match u32::try_from(count) {
        Ok(count) if count > 0 => Some(count),
        _ if count < 1 => {
            fields.refuse(name, format!("is {count}; at least 1"));
            None
        }
        _ => {
            fields.refuse(name, format!("is {count}; at most {}", u32::MAX));
            None
        }
    }
}

fn value(placed: &Option<Placed<u32>>) -> Option<u32> {
    placed.as_ref().map(|placed| placed.value)
}
