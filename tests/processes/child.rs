//! Another process with the database open: this test program, started again in a role of its own.
//!
//! Parent and child talk in lines: a question on the child's standard input, an answer on its standard output, after "@ ".

use super::setting::NOBODY;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use vector_datalib::{Snapshot, Value, VectorDb};

const PATH_VARIABLE: &str = "VECTOR_TEST_CHILD_PATH";
const ANSWER: &str = "@ ";
const PATIENCE: Duration = Duration::from_secs(60);

/// A digest of records in any order, and of attributes in any order.
pub(super) fn digest(records: impl IntoIterator<Item = (Value, Vec<(String, Value)>)>) -> u64 {
    let mut lines: Vec<String> = records
        .into_iter()
        .map(|(key, mut attributes)| {
            attributes.sort_by(|(left, _), (right, _)| left.cmp(right));
            format!("{key:?} {attributes:?}")
        })
        .collect();
    lines.sort();
    let mut hasher = DefaultHasher::new();
    lines.hash(&mut hasher);
    hasher.finish()
}

/// A digest of all that a snapshot holds, by scan; every point is also asked for by key.
pub(super) fn digest_of(snapshot: &Snapshot) -> u64 {
    digest(snapshot.iter().map(|point| {
        let point = point.unwrap().to_point().unwrap();
        assert_eq!(snapshot.point(point.key()).unwrap().as_ref(), Some(&point));
        (point.key().to_value(), point.into_attributes())
    }))
}

/// The child, as its parent sees it. It ends with the value.
#[derive(Debug)]
pub(super) struct Child {
    process: std::process::Child,
    answers: Receiver<String>,
}

impl Child {
    /// Starts the program again, as the same user.
    pub(super) fn start(database: &Path) -> Self {
        Self::run(Command::new(std::env::current_exe().unwrap()), database)
    }

    /// Starts it as a user who may write nothing, from a copy in `dir`, which that user may enter. Needs root.
    pub(super) fn start_as_nobody(database: &Path, dir: &Path) -> Self {
        let program = dir.join("test-program");
        if !program.exists() {
            std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
            std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let mut command = Command::new(program);
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
        Self::run(command, database)
    }

    fn run(mut command: Command, database: &Path) -> Self {
        let test = concat!(module_path!(), "::child_process").split_once("::").unwrap().1;
        let mut process = command
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(PATH_VARIABLE, database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(answer) = line.strip_prefix(ANSWER)
                    && sender.send(answer.to_owned()).is_err()
                {
                    break;
                }
            }
        });
        Self { process, answers }
    }

    pub(super) fn ask(&mut self, question: &str) -> String {
        let sent = writeln!(self.process.stdin.as_mut().unwrap(), "{question}");
        let answer = self.answers.recv_timeout(PATIENCE);
        answer.unwrap_or_else(|error| panic!("no answer to {question:?}: {error}; sending it: {sent:?}"))
    }

    /// Ends the process without warning.
    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _ended_already = self.process.wait();
    }
}

/// What the child has open.
#[derive(Default)]
struct Role {
    reader: Option<VectorDb>,
    writer: Option<VectorDb>,
    held: Option<(Snapshot, u64)>,
}

impl Role {
    fn answer(&mut self, question: &str, path: &Path) -> vector_datalib::Result<String> {
        let describe = |snapshot: &Snapshot| format!("{} {}", snapshot.sequence(), digest_of(snapshot));
        Ok(match question {
            "open read-only" => {
                let db = VectorDb::open_read_only(path)?;
                let answer = describe(&db.snapshot());
                self.reader = Some(db);
                answer
            }
            "refresh" => {
                let db = self.reader.as_ref().unwrap();
                db.refresh()?;
                describe(&db.snapshot())
            }
            "hold" => {
                let snapshot = self.reader.as_ref().unwrap().snapshot();
                let digest = digest_of(&snapshot);
                let answer = describe(&snapshot);
                self.held = Some((snapshot, digest));
                answer
            }
            "held" => {
                let (snapshot, digest) = self.held.as_ref().unwrap();
                assert_eq!(digest_of(snapshot), *digest, "the held snapshot changed");
                describe(snapshot)
            }
            "report" => format!("{:?}", self.reader.as_ref().unwrap().open_report()),
            "verify" => format!("{:?}", self.reader.as_ref().unwrap().verify()?.problems),
            "open" => {
                self.writer = Some(VectorDb::open(path)?);
                "open".to_owned()
            }
            "close" => {
                self.writer.take().unwrap().close()?;
                "closed".to_owned()
            }
            "write through the reader" => {
                let db = self.reader.as_ref().unwrap();
                format!("{:?}", db.upsert(1, [("n", 1)]).map_err(|error| error.is_read_only()))
            }
            _ => format!("what is {question:?}?"),
        })
    }
}

/// Refreshes without pause, checking that each state is whole: all points of such a database have the same `n`, the
/// number of the commit.
fn follow(db: &VectorDb, done: &AtomicBool, seen: &AtomicU64) {
    let mut last = 0;
    while !done.load(Ordering::Relaxed) {
        db.refresh().unwrap_or_else(|error| fail(&format!("refresh after commit {last}: {error}")));
        let snapshot = db.snapshot();
        let sequence = snapshot.sequence();
        if sequence < last {
            fail(&format!("went back from commit {last} to {sequence}"));
        }
        let n = snapshot.dimension("n").unwrap();
        for point in &snapshot {
            let point = point.unwrap_or_else(|error| fail(&format!("commit {sequence}: {error}")));
            let value = n.get(point.coordinate()).unwrap_or_else(|error| fail(&format!("commit {sequence}: {error}")));
            if value.and_then(|value| value.as_i64()) != Some(sequence as i64) {
                fail(&format!("at commit {sequence}, {:?} has {value:?}", point.key()));
            }
        }
        seen.fetch_add(u64::from(sequence > last), Ordering::Relaxed);
        last = sequence;
    }
}

fn say(answer: &str) {
    // On a line of its own: the test harness has begun one.
    println!("\n{ANSWER}{answer}");
}

/// Tells the parent, whatever it waits for, and ends.
fn fail(problem: &str) -> ! {
    say(&format!("FAILED: {problem}"));
    std::process::exit(1);
}

/// Not a test of its own: what the program does when it is started as a child.
#[test]
fn child_process() {
    let Some(path) = std::env::var_os(PATH_VARIABLE) else { return };
    let path = Path::new(&path);
    let mut role = Role::default();
    let (done, seen) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for question in std::io::stdin().lines() {
            let question = question.unwrap();
            let answer = match &*question {
                "follow" => {
                    let db = role.reader.clone().unwrap();
                    let (done, seen) = (&done, &seen);
                    scope.spawn(move || follow(&db, done, seen));
                    "following".to_owned()
                }
                "stop" => {
                    done.store(true, Ordering::Relaxed);
                    seen.load(Ordering::Relaxed).to_string()
                }
                _ => role.answer(&question, path).unwrap_or_else(|error| {
                    let kinds = [(error.is_locked(), "locked"), (error.is_read_only(), "read-only")];
                    let kind = kinds.iter().find(|(is, _)| *is).map_or("other", |(_, kind)| kind);
                    format!("error: {kind}: {error}")
                }),
            };
            say(&answer);
        }
        done.store(true, Ordering::Relaxed);
    });
}
