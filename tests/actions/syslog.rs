//! The `syslog` action against sockets of ours: a local daemon's, the journal's, a log server's.

use tokio::io::AsyncReadExt;
use tokio::net::{UdpSocket, UnixDatagram};

use super::*;

fn syslog(to: &str, more: &str) -> Actions {
    actions(&format!("[action.a]\ntype = 'syslog'\nto = '{to}'\n{more}")).unwrap()
}

async fn datagram(socket: &UnixDatagram) -> Vec<u8> {
    let mut packet = vec![0; 65536];
    let length = tokio::time::timeout(Duration::from_secs(30), socket.recv(&mut packet)).await.unwrap().unwrap();
    packet.truncate(length);
    packet
}

#[tokio::test]
async fn a_local_daemon_gets_the_line_it_knows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let socket = UnixDatagram::bind(&path).unwrap();
    let more = "facility = 'local3'\nseverity = 'warning'\nmessage = '{{ rule }}: {{ person.name }} \u{1f6aa}'";
    let more = more.replace("\\u{1f6aa}", "🚪");
    let actions = syslog(&format!("unix:{}", path.display()), &more);
    assert_eq!(actions.perform(request("Eve\n<0>fake[1]: line\t")).await.result, ActionResult::Done);
    let line = String::from_utf8(datagram(&socket).await).unwrap();
    // local3 is 19, warning is 4.
    let rest = line.strip_prefix("<156>").unwrap();
    chrono::NaiveDateTime::parse_from_str(&format!("2026 {}", &rest[..15]), "%Y %b %e %T").unwrap();
    let tag = format!(" doorward[{}]: ", std::process::id());
    assert_eq!(rest[15..].strip_prefix(&tag), Some("greet: Eve <0>fake[1]: line  🚪"));
}

#[tokio::test]
async fn a_log_server_gets_rfc_5424() {
    let pattern = format!(
        "doorward {} action [doorward@32473 id=\"KEY\" rule=\"greet\" detector=\"Front door\"",
        std::process::id()
    );
    let check = |line: &str| {
        // daemon is 3, info is 6.
        let rest = line.strip_prefix("<30>1 ").unwrap_or_else(|| panic!("{line}"));
        let (time, rest) = rest.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{time}");
        let (host, rest) = rest.split_once(' ').unwrap();
        assert!(!host.is_empty() && rest.starts_with(&pattern), "{rest}");
        assert!(rest.contains("outcome=\"known\"") && rest.contains("person=\"p1\""), "{rest}");
        assert!(rest.ends_with("] \u{feff}greet: p1 at Front door"), "{rest}");
    };
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let actions = syslog(&format!("udp://{}", udp.local_addr().unwrap()), "");
    assert_eq!(actions.perform(request("Ann")).await.result, ActionResult::Done);
    let mut packet = vec![0; 65536];
    let length = tokio::time::timeout(Duration::from_secs(30), udp.recv(&mut packet)).await.unwrap().unwrap();
    check(std::str::from_utf8(&packet[..length]).unwrap());

    // Over TCP each line says how long it is.
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let actions = syslog(&format!("tcp://{}", tcp.local_addr().unwrap()), "");
    let read = async {
        let (mut connection, _) = tcp.accept().await.unwrap();
        let mut text = String::new();
        connection.read_to_string(&mut text).await.unwrap();
        text
    };
    let (outcome, text) = tokio::join!(actions.perform(request("Ann")), read);
    assert_eq!(outcome.result, ActionResult::Done);
    let (length, line) = text.split_once(' ').unwrap();
    assert_eq!(length.parse::<usize>().unwrap(), line.len());
    check(line);
}

#[tokio::test]
async fn what_stands_in_data_stays_there() {
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let actions = syslog(&format!("udp://{}", udp.local_addr().unwrap()), "message = '{{ person.name }}'");
    let mut hostile = request(&"ß".repeat(5000));
    hostile.inputs["rule"] = json!("a\"] [fake x=\"1\\\nb");
    assert_eq!(actions.perform(hostile).await.result, ActionResult::Done);
    let mut packet = vec![0; 65536];
    let length = tokio::time::timeout(Duration::from_secs(30), udp.recv(&mut packet)).await.unwrap().unwrap();
    let line = std::str::from_utf8(&packet[..length]).unwrap();
    assert!(line.contains(r#"rule="a\"\] [fake x=\"1\\ b""#), "{line}");
    assert!(!line.contains('\n') && line.ends_with(&format!("\u{feff}{}", "ß".repeat(900))), "{}", line.len());
}

#[tokio::test]
async fn the_journal_gets_fields() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let socket = UnixDatagram::bind(&path).unwrap();
    let actions = syslog(&format!("journald:{}", path.display()), "severity = 'notice'");
    let mut hostile = request("Ann");
    hostile.inputs["detector"] = json!("two\nPRIORITY=0");
    assert_eq!(actions.perform(hostile).await.result, ActionResult::Done);
    // As systemd documents it: NAME=VALUE, or NAME, a line break, eight bytes of length and the value.
    let packet = datagram(&socket).await;
    let (mut fields, mut rest) = (BTreeMap::new(), packet.as_slice());
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
        let line = std::str::from_utf8(&rest[..end]).unwrap();
        rest = &rest[end + 1..];
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => {
                let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
                let value = String::from_utf8(rest[8..8 + length].to_vec()).unwrap();
                rest = &rest[8 + length + 1..];
                (line, value)
            }
        };
        assert!(fields.insert(name.to_owned(), value).is_none(), "{name} twice");
    }
    let field = |name: &str| fields[name].as_str();
    assert_eq!((field("PRIORITY"), field("SYSLOG_FACILITY"), field("SYSLOG_IDENTIFIER")), ("5", "3", "doorward"));
    assert_eq!((field("MESSAGE"), field("DOORWARD_DETECTOR")), ("greet: p1 at two PRIORITY=0", "two\nPRIORITY=0"));
    assert_eq!((field("DOORWARD_ID"), field("DOORWARD_PERSON"), field("DOORWARD_CONFIDENCE")), ("KEY", "p1", "0.9"));
}

#[tokio::test]
async fn a_log_that_is_not_there_is_tried_again_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let actions = syslog(&format!("unix:{}", path.display()), "tries = 2");
    let outcome = actions.perform(request("Ann")).await;
    let wanted =
        format!("cannot write to unix:{}: No such file or directory (os error 2) (after 2 tries)", path.display());
    assert_eq!(reason(&outcome), wanted);
    // A daemon that restarts.
    let actions = syslog(&format!("unix:{}", path.display()), "tries = 20");
    let later = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let socket = UnixDatagram::bind(&path).unwrap();
        datagram(&socket).await
    };
    let (outcome, line) = tokio::join!(actions.perform(request("Ann")), later);
    assert!(outcome.result == ActionResult::Done && !line.is_empty());

    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let outcome = syslog(&format!("tcp://{tcp}"), "tries = 1").perform(request("Ann")).await;
    assert!(reason(&outcome).starts_with(&format!("cannot write to tcp://{tcp}: Connection refused")), "{outcome:?}");
}
