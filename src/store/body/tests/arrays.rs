//! *Purpose*: that the rows of an array are those of its tasks.
//!
//! *Owns*: what is copied, what is shared, and when it is forgotten.
//!
//! *Promises*: a new kernel made of the rows goes on where the old one was.
//!
//! *Not here*: every order of events (`kernel::commands::task`).

use super::super::arrays;
use super::*;
use crate::job::array_spec::JobRef;
use crate::kernel::access::Scope;
use crate::store::arrays::Named;
use crate::store::schema::job_scripts;

fn array(world: &mut World, text: &str) -> JobId {
    let (id, step) = world.submission(JobRequest {
        working_directory: Some("/w".to_owned()),
        standard_output: Some("%A-%a-%j".to_owned()),
        ..job().array(text).label("k", "v").into()
    });
    world.commit(step);
    id
}

fn named(world: &mut World, id: JobId, task: u32) -> Named {
    let conn = world.writer.connection().unwrap();
    arrays::named(conn, JobRef { job: id, task: Some(task) }).unwrap()
}

#[test]
fn a_task_has_a_row_of_its_own_and_the_script_of_its_array() {
    let Some(mut world) = World::new() else { return };
    let id = array(&mut world, "0-9%2");
    assert_eq!(named(&mut world, id, 0), Named::Left);
    world.start();
    let Named::Job(first) = named(&mut world, id, 0) else { panic!("0 is no job") };
    assert_eq!(named(&mut world, id, 10), Named::Missing);
    let (row, _) = world.job(first).unwrap();
    assert_eq!((row.array_job_id, row.array_task_id), (Some(id), Some(0)));
    assert_eq!(row.spec.standard_output, Some(format!("{id}-0-{first}")));
    assert_eq!((row.submit_time, row.state), (Time(1), StateWord::Running));
    let (rest, _) = world.job(id).unwrap();
    assert_eq!(rest.array_tasks, Some("2-9%2".parse().unwrap()));
    assert_eq!(rest.spec.standard_output.as_deref(), Some("%A-%a-%j"));
    let conn = world.writer.connection().unwrap();
    let launch = read::launch(conn, first).unwrap();
    assert_eq!(launch.script.script, "true");
    assert_eq!(launch.array_spec, Some("0-9%2".parse().unwrap()));
    let labels = JobFilter {
        labels: vec![("k".to_owned(), "v".to_owned())],
        array: Some(id),
        limit: 9,
        ..JobFilter::default()
    };
    assert_eq!(read::jobs_page(conn, &labels, &Scope::SERVER).unwrap().value.jobs.len(), 3);
    let (kernel, _) = boot(&mut world.writer);
    assert_eq!(check::all(&kernel), Ok(()));
    assert_eq!(kernel.snapshot().count(StateWord::Pending), 8);
    assert!(planned(&kernel).start.is_empty(), "two run already");
}

#[test]
fn the_script_of_an_array_goes_with_its_last_row() {
    let Some(mut world) = World::new() else { return };
    let id = array(&mut world, "0-1");
    world.start();
    let Named::Job(first) = named(&mut world, id, 0) else { panic!("0 is no job") };
    assert_eq!(named(&mut world, id, 1), Named::Job(id), "the last keeps the array's row");
    let end = world.fact(first, exited());
    world.commit(end);
    let conn = world.writer.connection().unwrap();
    let ended =
        |conn: &mut _| read::ages(conn, JobId(0), 9, Time(i64::MAX)).unwrap().value[0].ended;
    assert_eq!(ended(conn), None, "its array is not over");
    let end = world.fact(id, exited());
    world.commit(end);
    let conn = world.writer.connection().unwrap();
    let ages = read::ages(conn, JobId(0), 9, Time(i64::MAX)).unwrap().value;
    assert!(ages.iter().all(|age| age.ended.is_some()));
    let last = ages.iter().filter_map(|age| age.ended).max().unwrap();
    let ages = read::ages(conn, JobId(0), 9, last).unwrap().value;
    assert!(ages.iter().all(|age| age.ended.is_none()), "an array is forgotten as a whole");
    for (job, script_left) in [(id, true), (first, false)] {
        let step = world.kernel.forget(&[Old { job, word: StateWord::Failed, array: Some(id) }]);
        world.commit(step);
        let conn = world.writer.connection().unwrap();
        assert!(read::job(conn, job).unwrap().value.is_none());
        let scripts = job_scripts::table.count().get_result::<i64>(conn).unwrap();
        assert_eq!(scripts, i64::from(script_left), "{job}");
    }
}
