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

/// The line that names page, section, source and manual; there is no date.
fn header(name: &str) -> String {
    format!("\n.TH {name} 1 \"\" \"vdb {}\" \"vdb manual\"\n", env!("CARGO_PKG_VERSION"))
}

#[test]
fn every_command_has_a_manual_page() {
    let place = Place::new();
    let page = place.line(&["man"]);
    assert!(page.contains(&header("vdb")) && page.contains("vdb\\-import(1)") && page.contains("Exit codes"), "{page}");
    let page = place.line(&["man", "import"]);
    assert!(page.contains(&header("vdb-import")) && page.contains("\\-\\-null"), "{page}");
    assert_eq!(place.line(&["man", "vdb-import"]), page, "by the name of its page");
    place.fails(&["man", "fly"], 2, "there is no command \"fly\"; try 'vdb --help'");

    let run = place.run(&["man", "--dir", "share/man1"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run:?}");
    let pages = names_in(&place.path("share/man1"));
    assert!(pages.contains(&"vdb.1".to_owned()) && pages.contains(&"vdb-stats.1".to_owned()), "{pages:?}");
    for page in &pages {
        let (name, text) = (page.strip_suffix(".1").unwrap(), place.read(&format!("share/man1/{page}")));
        assert!(text.contains(&header(name)), "{page}: {text}");
        assert!(text.contains(&format!(".SH NAME\n{} \\- ", name.replace('-', "\\-"))), "{page}: {text}");
        let named: Vec<_> = text.lines().filter_map(|line| line.strip_suffix("(1)")).collect();
        assert_eq!(named.len(), if name == "vdb" { pages.len() - 1 } else { 1 });
        for named in named {
            assert!(pages.contains(&format!("{}.1", named.replace("\\-", "-"))), "{page} names {named}, which is none");
        }
    }
    let commands = place.line(&["--help"]);
    let listed = commands.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let named = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|word| !word.is_empty()));
    for command in named.filter(|command| *command != "help") {
        assert!(pages.contains(&format!("vdb-{command}.1")), "{command}: {pages:?}");
    }
    assert!(run.stderr.contains(&format!("{} pages", pages.len())), "{run:?}");
}
