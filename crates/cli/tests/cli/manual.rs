//! completions and man: they know every command and option.

use crate::{Place, names_in};

#[test]
fn every_shell_has_a_script_that_knows_the_commands() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.line(&["completions", shell]);
        for word in ["vdb", "import", "inspect", "reassign-slots", "jsonl"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        assert!(!script.contains("parquet"), "{shell}: what is hidden is not completed");
    }
    assert_eq!(place.run(&["completions", "tcsh"]).code, 2);
}

#[test]
fn every_command_has_a_manual_page() {
    let place = Place::new();
    let page = place.line(&["man"]);
    assert!(page.contains(".TH vdb 1") && page.contains("vdb\\-import(1)") && page.contains("Exit codes"), "{page}");
    let page = place.line(&["man", "import"]);
    assert!(page.contains(".TH vdb-import 1") && page.contains("\\-\\-null"), "{page}");
    place.fails(&["man", "fly"], 2, "there is no command \"fly\"; try 'vdb --help'");

    let run = place.run(&["man", "--dir", "share/man1"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run:?}");
    let pages = names_in(&place.path("share/man1"));
    assert!(pages.contains(&"vdb.1".to_owned()) && pages.contains(&"vdb-stats.1".to_owned()), "{pages:?}");
    let commands = place.line(&["--help"]);
    let listed = commands.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let named = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|word| !word.is_empty()));
    for command in named.filter(|command| *command != "help") {
        assert!(pages.contains(&format!("vdb-{command}.1")), "{command}: {pages:?}");
    }
    assert!(run.stderr.contains(&format!("{} pages", pages.len())), "{run:?}");
}
