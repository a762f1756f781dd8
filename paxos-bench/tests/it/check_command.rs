//! What the checker makes of what it is given to read.

use paxos_bench::check;
use std::process::Command;

/// An invocation of process 1 as JSON, with an answer to it.
fn json(asked: &str, answer: &str) -> String {
    format!(
        "{{\"process\":1,\"type\":\"invoke\",\"key\":\"a\",{asked}}}\n\
         {{\"process\":1,\"type\":{answer}}}\n"
    )
}

#[test]
fn an_answer_that_contradicts_its_invocation_is_refused_with_its_line() {
    let put = r#""f":"put","value":"x""#;
    let cas = r#""f":"cas","from":"w","value":"x""#;
    for (asked, answer, problem) in [
        (put, r#""ok","key":"b""#, "key"),
        (put, r#""unknown","key":"b""#, "key"),
        (put, r#""ok","f":"get""#, "Get"),
        (put, r#""ok","value":"y""#, "value"),
        (put, r#""ok","f":"put","f":"put""#, "duplicate"),
        (cas, r#""ok","from":"v","done":true"#, "from"),
        (r#""f":"get""#, r#""ok""#, "null: absent"),
    ] {
        let error = check::parse_json(&json(asked, answer)).unwrap_err();
        assert_eq!(error.line, 2, "{answer}: {error}");
        assert!(error.problem.contains(problem), "{answer}: {error}");
    }
    check::parse_json(&json(put, r#""ok","f":"put","key":"a","value":"x""#)).unwrap();
    check::parse_json(&json(cas, r#""ok","from":"w","value":"x","done":true"#)).unwrap();

    let edn = |f: &str, kind: &str, key: &str, value: &str| {
        format!("{{:process 0, :type :{kind}, :f :{f}, :key \"{key}\", :value \"{value}\"}}\n")
    };
    let asked = edn("put", "invoke", "a", "x");
    for (answer, problem) in [
        (edn("put", "ok", "a", "y"), "Put(\"y\")"),
        (edn("put", "ok", "b", "x"), ":key"),
        (edn("append", "ok", "a", "x"), ":append"),
        (edn("put", "info", "b", "x"), ":key"),
        (edn("put", "ok", "a", "x").replace(":f", ":process 1, :f"), ":process is there twice"),
    ] {
        let error = check::parse_kv_edn(&format!("{asked}{answer}")).unwrap_err();
        assert_eq!(error.line, 2, "{answer}: {error}");
        assert!(error.problem.contains(problem), "{answer}: {error}");
    }

    let asked = "INFO  jepsen.util - 0\t:invoke\t:write\t4\n";
    for answer in [":ok\t:write\t5", ":ok\t:read\t4", ":info\t:cas\t:timed-out"] {
        let text = format!("{asked}INFO  jepsen.util - 0\t{answer}\n");
        let error = check::parse_jepsen_etcd(&text).unwrap_err();
        assert_eq!(error.line, 2, "{answer}: {error}");
    }
}

/// Runs the command: its exit code, and all that it said.
pub fn exit_code(arguments: &[&str]) -> (Option<i32>, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_paxos-bench")).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    (run.status.code(), text + &String::from_utf8_lossy(&run.stderr))
}

#[test]
fn the_command_tells_its_verdict_by_exit_code() {
    let folder = std::env::temp_dir().join(format!("paxos-bench-check-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = file(
        "good",
        "{\"process\":1,\"type\":\"invoke\",\"f\":\"put\",\"key\":\"a\",\"value\":\"x\"}\n\
         {\"process\":1,\"type\":\"ok\"}\n",
    );
    let more = std::fs::read_to_string(&good).unwrap()
        + "{\"process\":1,\"type\":\"invoke\",\"f\":\"get\",\"key\":\"a\"}\n\
           {\"process\":1,\"type\":\"ok\",\"value\":null}\n";
    let bad = file("bad", &more);
    let broken = file("broken", "{\"process\":1,\"type\":\"ok\"}\n");
    let other_key = file("other", &json(r#""f":"delete""#, r#""ok","key":"b","done":true"#));

    let (code, text) = exit_code(&["check", &good, "--format", "json"]);
    assert_eq!((code, text.as_str()), (Some(0), "linearizable: 1 operations on 1 keys\n"));
    let (code, text) = exit_code(&["check", &bad, "--format", "json"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("not linearizable: key \"a\"; 2 of 2 operations"), "{text}");
    let (code, text) = exit_code(&["check", &good, "--format", "json", "--limit-s", "0"]);
    assert_eq!(code, Some(3), "{text}");
    let never = u64::MAX.to_string();
    for (path, wanted) in [(&good, 0), (&bad, 1)] {
        let (code, text) = exit_code(&["check", path, "--format", "json", "--limit-s", &never]);
        assert_eq!(code, Some(wanted), "a limit that the clock cannot tell is none: {text}");
    }
    for wrong in [
        &["check", &broken, "--format", "json"][..],
        &["check", &other_key, "--format", "json"],
        &["check", &good, "--format", "kv-edn"],
        &["check", "/nowhere", "--format", "json"],
        &["check", &good, "--format", "xml"],
        &["check", &good],
        &["chek"],
    ] {
        let (code, text) = exit_code(wrong);
        assert_eq!(code, Some(2), "{wrong:?}: {text}");
        assert!(text.contains("error"), "{wrong:?}: {text}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
