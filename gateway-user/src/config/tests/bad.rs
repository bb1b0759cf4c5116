//! Policies with something wrong: each is told with its line, its cause and its remedy.

use super::{super::Warning, bad, read, warnings};

/// A policy, the line of its only problem, and parts of cause and remedy.
type Case = (&'static str, usize, &'static str, &'static str);

#[rustfmt::skip]
const CASES: &[Case] = &[
    // Names.
    ("mood = \"monitor\"", 1, "unknown key or section \"mood\"", "write mode = \"monitor\""),
    ("\n[sip]\nport = [5060]", 3, "unknown key \"port\"", "write ports = [5060, 5061]"),
    ("[sip]\nflavour = 1", 2, "unknown key \"flavour\"", "known here are ports, tcp, redirects, called_party, reject"),
    ("[sip]\nreject = 503", 2, "reject is the number 503", "write one of 603, 403, 480, 486, or false"),
    ("[sip]\nreject = true", 2, "reject is true", "write one of 603, 403, 480, 486, or false"),
    ("[sip]\nreject = \"603\"", 2, "reject is the string", "write one of 603, 403, 480, 486, or false"),
    ("[sip]\nmode = \"enforce\"", 2, "unknown key \"mode\"", "the top of the file"),
    ("region = \"JP\"", 1, "unknown key or section \"region\"", "write it in [site]"),
    ("[profiles.default]\nblock = []", 1, "\"profiles\"", "[profile.default]"),
    ("[profile.default.class]\ninternation = \"block\"", 2, "\"internation\"", "international = "),
    ("[profile.default.class]\nemergency = \"block\"", 2, "class emergency has no answer: such calls pass", "remove it"),
    ("[site]\nsip = 3", 2, "unknown key \"sip\"", "write [sip]"),
    ("profile = 3", 1, "profile takes a section with a name, not the number 3", "[profile.default]"),
    ("[profile]\nblock = [\"SL\"]", 2, "[profile] needs a name", "[profile.default]"),
    ("[interface.\"eth 0\"]", 1, "\"eth 0\" cannot be the name of an interface", "ip link"),
    ("[limit.\"a b\"]\nkey = \"all\"\nrate = \"1/s\"\n[profile.default]\nlimits = [\"a b\"]", 1, "\"a b\" is no name", "hyphens"),
    // Types and words.
    ("mode = true", 1, "mode takes a string in quotes, not true", "write mode = \"monitor\""),
    ("mode = \"enforced\"", 1, "\"enforced\" is not one of monitor, enforce", "write \"enforce\""),
    ("mode = \"on\"", 1, "\"on\"", "\"monitor\" or \"enforce\""),
    ("floor_windows = [\"10/1h\"]", 1, "below the floor's own 20/1h", "write 20 or more"),
    ("floor_windows = [\"40/1h\", \"40/8h\"]", 1, "below the floor's own 60/1d", "write 60 or more"),
    ("floor_windows = [\"64/2d\"]", 1, "no longer than a day", "40/1h"),
    ("floor_windows = []", 1, "floor_windows has no window", "floor = false"),
    ("floor_concurrent = 5", 1, "floor_concurrent", "6"),
    ("floor = \"yes\"", 1, "floor takes true or false, not the string \"yes\"", "floor = true"),
    ("[interface.eth0]\nrole = \"inside\"", 2, "wan, lan", "\"wan\" or \"lan\""),
    ("[sip]\nports = 5060", 2, "ports takes a list of port numbers, not the number 5060", "ports = [5060, 5061]"),
    ("[sip]\nports = []", 2, "no port carries SIP", "ports = [5060]"),
    ("[sip]\nports = [5060, 0]", 2, "the number 0 is no port", "from 1 to 65535"),
    ("[sip]\nports = [\n5060,\n70000]", 4, "70000 is no port", "from 1 to 65535"),
    ("[sip]\nports = [5060, \"5061\"]", 2, "the string \"5061\" is no port", "without quotes"),
    ("[sip]\nports = [5060, 5060]", 2, "port 5060 stands twice", "remove one"),
    ("[sip]\ntcp = \"drop\"", 2, "inspect, deny, pass", "write"),
    // Site.
    ("[site]\nregion = \"jp\"", 2, "\"jp\" is no region", "write \"JP\""),
    ("[site]\nregion = \"Japan\"", 2, "\"Japan\" is no region", "ISO 3166-1"),
    ("[site]\nregion = \"XX\"", 2, "\"XX\" is no region", "\"ZZ\" for none"),
    ("[site]\noutside_registration = \"none\"", 2, "\"none\" is not one of allow, known, deny", "write "),
    ("[site]\noutside_registration = false", 2, "takes a string in quotes", "outside_registration = \"known\""),
    ("[site]\nextensions = 3", 2, "extensions takes a string in quotes", "extensions = \"2-5\""),
    ("[site]\nextensions = \"5-2\"", 2, "runs backwards", "write \"2-5\""),
    ("[site]\nextensions = \"0-3\"", 2, "\"0-3\"", "\"2-5\""),
    ("[site]\nown_numbers = [\"0312345678\"]", 2, "\"0312345678\" is no number", "country code"),
    ("[site]\nown_numbers = [\"+81-3-1234-5678\"]", 2, "not a plus and digits", "\"+81312345678\""),
    ("[site]\nown_numbers = \"+81312345678\"", 2, "not a single string", "own_numbers = [\"+81312345678\"]"),
    // Profiles.
    ("[profile.default]\nblock = [\"232\"]", 2, "\"232\" can mean two things", "+232 for the country code, or dial:232"),
    ("[profile.default]\nblock = [\"010232\"]", 2, "can mean two things", "dial:010232"),
    ("[profile.default]\nblock = [232]", 2, "block takes strings in quotes, not the number 232", "block = [\"SL\""),
    ("[profile.default]\nblock = \"SL\"", 2, "not a single string", "block = [\"SL\"]"),
    ("[profile.default]\nblock = [\"sl\"]", 2, "\"sl\" is not in capital letters", "write SL"),
    ("[profile.default]\nblock = [\"QX\"]", 2, "\"QX\" is no country", "ISO 3166-1"),
    ("[profile.default]\nblock = [\"\"]", 2, "nothing is named", "+232"),
    ("[profile.default]\nblock = [\"+0232\"]", 2, "begins with 0", "country code after the plus"),
    ("[profile.default]\nblock = [\"international\"]", 2, "international is no destination", "class.international = \"block\""),
    ("[profile.default]\nblock = [\"198.51.100.0/24\"]", 2, "is no destination", "tollgate block 198.51.100.0/24"),
    ("[profile.default]\nblock = [\"line:203\"]", 2, "line:203 is no destination", "--line 203"),
    ("[profile.default]\nallow = [\"line:203\"]", 2, "line:203 is no destination", "tollgate allow WHAT --line 203"),
    ("[site]\nregion = \"JP\"\n[profile.default]\nblock = [\"dial:11\"]", 4, "dial:11 would drop an emergency call (110)", "more digits"),
    ("[site]\nregion = \"JP\"\n[profile.default]\nblock = [\"dial:119\"]", 4, "would drop an emergency call (119)", "remove it"),
    ("[site]\nregion = \"JP\"\n[profile.default]\noutside_line = [\"0\"]\nblock = [\"dial:0119\"]", 5, "emergency call (119)", "remove it"),
    ("[profile.default]\nemergency = [\"171\"]\nblock = [\"dial:17\"]", 3, "emergency call (171)", "remove it"),
    ("[profile.default]\nblock = [\"dial:9\"]", 2, "emergency call (911)", "remove it"),
    ("[profile.default]\nemergency = [\"0312345678\"]", 2, "is no emergency number", "2 to 6 digits"),
    ("[profile.default]\noutside_line = [0]", 2, "outside_line takes strings in quotes", "write \"0\""),
    ("[profile.default]\naccess_codes = [\"01a\"]", 2, "\"01a\" is no code", "0-9, * and #"),
    ("[profile.default]\nsources = [\"192.0.2.1\"]", 2, "holds for every source that no other", "remove sources"),
    ("[profile.a]\nsources = [\"192.0.2.9/28\"]", 2, "\"192.0.2.9/28\" has host bits set", "write 192.0.2.0/28 for the network, or 192.0.2.9"),
    ("[profile.a]\nsources = [\"192.0.2.0/33\"]", 2, "no valid prefix length", "0 to 32"),
    ("[profile.a]\nsources = [\"pbx.example.net\"]", 2, "is no address", "203.0.113.10"),
    ("[profile.a]\nsources = [\"192.0.2.1\"]\n[profile.b]\nsources = [\"::ffff:192.0.2.1\"]", 4, "192.0.2.1 already belongs to profile.a", "remove"),
    ("[profile.a]\nsources = [\"192.0.2.1\"]\n[trunk.t]\nsources = [\"192.0.2.1\"]", 2, "already belongs to trunk.t", "remove"),
    ("[profile.default]\nlimits = [\"caler\"]\n[limit.caller]\nkey = \"all\"\nrate = \"9/s\"\n[profile.a]\nsources=[\"192.0.2.1\"]\nlimits = [\"caller\"]",
        2, "there is no limit \"caler\"", "write \"caller\""),
    ("[profile.default]\nlimits = [\"x\"]", 2, "there is no limit \"x\"", "[limit.x]"),
    ("[profile.default]\nblock_files = [\"no-such-list.txt\"]", 2, "no-such-list.txt: there is no such file", "correct the path"),
    ("[profile.default.class]\ninternational = \"as-international\"", 2, "allow, monitor, block", "write"),
    ("[profile.default]\nclass.suspicious = \"as-internatinal\"", 2, "as-international", "write \"as-international\""),
    // Trunks.
    ("[trunk.t]\nrate = \"50/s\"", 1, "trunk.t has no sources", "sources = [\"203.0.113.10\"]"),
    ("[trunk.t]\nsources = [\"0.0.0.0/0\"]", 2, "would make every source a trunk", "your provider"),
    ("[interface.eth0]\n[trunk.t]\nsources = [\"192.0.2.1\"]\ninterface = \"eth9\"", 4, "interface \"eth9\" is not in this file", "\"eth0\""),
    ("[trunk.t]\nsources = [\"192.0.2.1\"]\nover = \"drop\"", 3, "over without rate", "rate = \"50/s\""),
    ("[trunk.t]\nsources = [\"192.0.2.1\"]\nrate = \"1/s\"\nover = \"suspend\"", 4, "is not for a trunk", "over = \"drop\""),
    ("[trunk.a]\nsources = [\"192.0.2.1\"]\n[trunk.b]\nsources = [\"192.0.2.1\"]", 4, "already belongs to trunk.a", "remove"),
    // Rates.
    ("[ceiling]\nunproved = \"50\"", 2, "\"50\" is no rate", "\"10/s\""),
    ("[ceiling]\nunproved = \"0/s\"", 2, "lets nothing through", "at least 1"),
    ("[ceiling]\nunproved = \"10/fortnight\"", 2, "is no rate", "\"3/10s\""),
    ("[ceiling]\nunproved = \"99999999999/s\"", 2, "too fast to limit", "\"10/s\""),
    ("[ceiling]\nconnections = \"0/s\"", 2, "lets nothing through", "at least 1"),
    ("[ceiling]\nfragments = 9", 2, "fragments takes a string in quotes", "\"10000/s\""),
    ("[ceiling]\nunproved = 50", 2, "unproved takes a string in quotes", "\"50/s\""),
    ("[emergency]\nunproved = \"3/10s\"\nburst = 0", 3, "burst is the number 0", "from 1 to"),
    ("[emergency]\nburst = 3", 2, "burst without unproved", "unproved = "),
    ("[ceiling]\nunproved = \"1/7d\"\nburst = 1000", 3, "more than 31 days", "smaller burst"),
    // Limits.
    ("[limit.x]\nkey = \"source\"\nrate = \"10/s\"", 1, "nothing uses limit.x", "limits = [\"x\"]"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nrate = \"10/s\"", 3, "limit.x has no key", "key = \"source\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"", 3, "limit.x has no rate", "rate = \"10/s\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nrate = \"10/s\"\nkey = \"line\"", 5, "which windows count", "windows = "),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nrate = \"10/s\"\nkey = \"sauce\"", 5, "source, network, unproved, all", "write \"source\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nrate = \"10/s\"\nkey = \"all\"\nover = \"ban\"", 5, "counts several together", "key = \"source\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nwindows = [\"5/60s\"]\nover = \"ban\"", 6, "is not for windows", "\"suspend\""),
    ("[trunk.t]\nsources = [\"192.0.2.1\"]\nrate = \"1/s\"\nover = \"ban\"", 4, "is not for a trunk", "never banned"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nrate = \"10/s\"\nkey = \"source\"\nover = \"ban\"\nban = \"3d\"", 7, "24h at most", "ban = \"5m\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nrate = \"10/s\"\nkey = \"source\"\ncount = \"failures\"", 6, "stops nothing unless it bans", "over = \"ban\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nrate = \"10/s\"\nkey = \"source\"\nmethod = \"REGISTER\"\ncount = \"failures\"\nover = \"ban\"", 6, "counts answers of the PBX", "remove method"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nrate = \"10/s\"\nkey = \"all\"\nwindows = [\"5/60s\"]", 4, "rate beside windows", "remove it"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"unproved\"\nwindows = [\"5/60s\"]", 4, "not for windows", "key = \"source\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"line\"\nwindows = [\"5/60s\"]", 4, "without site_windows", "site_windows = [\"20/1h\", \"60/24h\"]"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"country\"\nrate = \"5/m\"", 4, "which windows count", "windows = "),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"site\"\nsite_windows = [\"5/60s\"]", 5, "without windows", "key = \"site\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nwindows = []", 5, "windows has no window", "windows = "),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nwindows = [\"65/60s\"]", 5, "more than 64 calls", "at most 64"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nwindows = [\"5/40d\"]", 5, "longer than 31d", "shorter"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nwindows = [\"five\"]", 5, "is no rate", "10/s"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nwindows = [\"1/1s\", \"2/2s\", \"3/3s\", \"4/4s\", \"5/5s\"]", 5, "4 can hold at once", "remove"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nmethod = \"REGISTER\"\nwindows = [\"5/60s\"]", 5, "makes none", "rate = "),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nwindows = [\"5/60s\"]\nover = \"suspend\"", 6, "within the country", "class = \"international\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nwindows = [\"5/60s\"]\nclass = \"national\"\nover = \"suspend\"", 6, "within the country", "class = \"international\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nwindows = [\"5/60s\"]\nclass = \"international\"\nover = \"suspend\"\nsuspend = \"60d\"", 8, "more than 31 days", "suspend = \"24h\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nrate = \"10/s\"\nkey = \"all\"\nconcurrent = 3", 4, "rate beside concurrent", "a limit of its own"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"line\"\nconcurrent = 3", 4, "key = \"line\" without site_concurrent", "site_concurrent = 12"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"line\"\nsite_concurrent = 3", 5, "site_concurrent without concurrent", "key = \"site\" and concurrent"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"site\"\nconcurrent = 65", 5, "concurrent is the number 65", "from 1 to 64"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"site\"\nconcurrent = 0", 5, "concurrent is the number 0", "from 1 to 64"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"site\"\nconcurrent = \"3\"", 5, "a whole number", "concurrent = 3"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"unproved\"\nconcurrent = 3", 4, "not for concurrent", "key = \"source\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nmethod = \"REFER\"\nconcurrent = 3", 5, "REFER makes another host place one", "INVITE"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nmethod = \"OPTIONS\"\nconcurrent = 3", 5, "OPTIONS makes none", "in place of concurrent"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nconcurrent = 3\nclass = \"international\"\nover = \"suspend\"", 7, "nothing to suspend for", "over = \"drop\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nminutes = \"60/1h\"", 5, "nothing is left to drop", "over = \"warn\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nminutes = \"60/1h\"\nover = \"drop\"", 6, "minutes with over = \"drop\"", "over = \"suspend\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\ndistinct = \"30/1h\"\nover = \"ban\"", 6, "is not for windows", "\"suspend\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"line\"\nminutes = \"60/1h\"\nclass = \"international\"\nover = \"suspend\"", 5, "minutes of a line without site_minutes", "site_minutes = "),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"line\"\nminutes = \"60/1h\"\nsite_windows = [\"20/1h\"]\nwindows = [\"5/60s\"]\nclass = \"international\"\nover = \"suspend\"", 5, "minutes of a line without site_minutes", "site_minutes = "),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"line\"\nsame = \"10/1h\"\nclass = \"international\"\nover = \"suspend\"", 5, "same of a line without site_same", "site_same = "),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nsite_distinct = \"10/1h\"\nclass = \"international\"\nover = \"suspend\"", 5, "site_distinct without distinct", "key = \"site\" and distinct"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nminutes = \"60/1h\"\nover = \"suspend\"", 6, "within the country", "class = \"international\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"unproved\"\nminutes = \"60/1h\"\nclass = \"international\"\nover = \"suspend\"", 4, "not for minutes", "key = \"source\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nrate = \"10/s\"\nkey = \"source\"\nminutes = \"60/1h\"\nclass = \"international\"\nover = \"suspend\"", 4, "rate beside minutes", "a limit of its own"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nmethod = \"REFER\"\nminutes = \"60/1h\"\nclass = \"international\"\nover = \"suspend\"", 5, "REFER makes another host place one", "INVITE"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nmethod = \"MESSAGE\"\nsame = \"60/1h\"\nover = \"warn\"", 5, "same counts calls, and MESSAGE makes none", "rate = "),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nminutes = \"sixty\"\nclass = \"international\"\nover = \"suspend\"", 5, "minutes: \"sixty\" is no rate", "60/1h, 300/1d"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nminutes = \"60/1h,\"\nclass = \"international\"\nover = \"suspend\"", 5, "minutes: \"\" is no rate", "60/1h, 300/1d"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nminutes = 60\nclass = \"international\"\nover = \"suspend\"", 5, "minutes takes a list of strings", "60/1h, 300/1d"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nminutes = []\nclass = \"international\"\nover = \"suspend\"", 5, "minutes has no window", "60/1h, 300/1d"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nminutes = \"0/1h\"\nclass = \"international\"\nover = \"suspend\"", 5, "lets nothing through", "60/1h, 300/1d"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nminutes = \"100001/1d\"\nclass = \"international\"\nover = \"suspend\"", 5, "more than 100000", "60/1h, 300/1d"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\ndistinct = \"501/1d\"\nclass = \"international\"\nover = \"suspend\"", 5, "more than 500", "30/1h"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nsame = \"501/1d\"\nclass = \"international\"\nover = \"suspend\"", 5, "more than 500", "10/1h"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nminutes = \"60/40d\"\nclass = \"international\"\nover = \"suspend\"", 5, "longer than 31d", "shorter"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\ndistinct = \"5/30s\"\nclass = \"international\"\nover = \"suspend\"", 5, "shorter than a minute", "windows = "),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nminutes = \"1/1h, 2/2h, 3/3h, 4/4h, 5/5h\"\nclass = \"international\"\nover = \"suspend\"", 5, "4 can hold at once", "remove"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nheads = \"6/10m\"", 5, "nothing is left to drop", "over = \"ban\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nheads = \"6/10m\"\nover = \"drop\"", 6, "heads with over = \"drop\"", "over = \"warn\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nheads = \"6/10m\"\nrate = \"5/s\"\nover = \"ban\"", 6, "rate beside heads", "a limit of its own"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nheads = \"6/10m\"\ndistinct = \"5/1h\"\nover = \"warn\"", 6, "distinct beside heads", "a limit of its own"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nheads = \"6/10m\"\nclass = \"international\"\nover = \"ban\"", 6, "is of another class", "remove class"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nheads = \"6/10m\"\nmethod = \"REGISTER\"\nover = \"ban\"", 6, "REGISTER dials nothing", "remove method"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"network\"\nheads = \"6/10m\"\nover = \"warn\"", 4, "key = \"network\" is none", "key = \"source\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"network\"\nheads = \"6/10m\"\nover = \"ban\"", 4, "counts several together", "key = \"source\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nheads = \"501/1h\"\nover = \"ban\"", 5, "more than 500", "heads = \"6/10m\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nheads = \"6/2d\"\nover = \"ban\"", 5, "longer than 1d", "shorter"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nheads = \"6/30s\"\nover = \"ban\"", 5, "shorter than a minute", "heads = \"6/10m\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nheads = \"six\"\nover = \"ban\"", 5, "heads: \"six\" is no rate", "heads = \"6/10m\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nheads = 6\nover = \"ban\"", 5, "heads takes a list of strings", "heads = \"6/10m\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nheads = []\nover = \"ban\"", 5, "heads has no window", "heads = \"6/10m\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nheads = \"1/1h, 2/2h, 3/3h, 4/4h, 5/5h\"\nover = \"ban\"", 5, "4 can hold at once", "remove"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"source\"\nheads = \"6/10m\"\nover = \"ban\"\nban = \"3d\"", 7, "24h at most", "ban = \"5m\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nrate = \"10/s\"\nkey = \"all\"\nmethod = \"invite\"", 6, "\"invite\" is not in capital", "write \"INVITE\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nrate = \"10/s\"\nkey = \"all\"\nmethod = \"INVTE\"", 6, "\"INVTE\" is no SIP method", "write \"INVITE\""),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nrate = \"10/s\"\nkey = \"all\"\nmethod = \"BYE\"", 6, "BYE is never limited", "INVITE"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nrate = \"10/s\"\nkey = \"all\"\nclass = \"emergency\"", 6, "would drop an emergency call", "[emergency]"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nrate = \"10/s\"\nkey = \"all\"\nmethod = \"REGISTER\"\nclass = \"international\"", 7, "REGISTER makes no call", "remove class"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nrate = \"10/s\"\nkey = \"all\"\nban = \"5\"", 6, "\"5\" has no unit", "15m"),
    // Schedules.
    ("[profile.default]\nblock = [{ what = \"SL\", schedule = \"nihgt\" }]\n[schedule.night]\ndays = \"sat\"\n[profile.a]\nsources = [\"192.0.2.1\"]\nallow = [{ what = \"SL\", schedule = \"night\" }]",
        2, "there is no schedule \"nihgt\"", "write \"night\""),
    ("[profile.default]\nblock = [{ what = \"SL\", schedule = \"night\" }]", 2, "there is no schedule \"night\"", "[schedule.night]"),
    ("[profile.default]\nblock = [{ what = \"SL\" }]", 2, "an entry of block has no schedule", "schedule = \"night\""),
    ("[profile.default]\nblock = [{ schedule = \"n\" }]\n[schedule.n]\ndays = \"sat\"", 2, "an entry of block has no what", "what = "),
    ("[profile.default]\nblock = [{ what = \"232\", schedule = \"n\" }]\n[schedule.n]\ndays = \"sat\"", 2, "can mean two things", "+232"),
    ("[profile.default]\nblock = [{ what = \"emergency\", schedule = \"n\" }]\n[schedule.n]\ndays = \"sat\"", 2, "emergency is no destination", "remove it"),
    ("[site]\nregion = \"JP\"\n[profile.default]\nblock = [{ what = \"dial:11\", schedule = \"n\" }]\n[schedule.n]\ndays = \"sat\"", 4, "would drop an emergency call (110)", "more digits"),
    ("[profile.default]\nblock = [{ what = \"SL\", schedule = \"n\", days = \"sat\" }]\n[schedule.n]\ndays = \"sat\"", 2, "unknown key \"days\"", "[schedule.NAME]"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nrate = \"10/s\"\nkey = \"all\"\nschedule = \"n\"", 3, "there is no schedule \"n\"", "[schedule.n]"),
    ("[profile.default]\nlimits = [\"x\"]\n[limit.x]\nrate = \"10/s\"\nkey = \"all\"\nhours = \"18:00-08:00\"", 6, "unknown key \"hours\"", "[schedule.NAME]"),
    ("[profile.default]\nallow = [{ what = \"SL\", schedule = \"n\" }]\n[schedule.n]", 3, "schedule.n names no time", "hours = "),
    ("[profile.default]\nallow = [{ what = \"SL\", schedule = \"n\" }]\n[schedule.n]\nhours = \"18-8\"", 4, "\"18-8\" are no hours", "18:00-08:00"),
    ("[profile.default]\nallow = [{ what = \"SL\", schedule = \"n\" }]\n[schedule.n]\nhours = \"24:00-08:00\"", 4, "are no hours", "18:00-08:00"),
    ("[profile.default]\nallow = [{ what = \"SL\", schedule = \"n\" }]\n[schedule.n]\nhours = \"fri 18:00-08:00\"", 4, "are no hours", "fri 18:00-mon 08:00"),
    ("[profile.default]\nallow = [{ what = \"SL\", schedule = \"n\" }]\n[schedule.n]\nhours = \"fri 18:00-moon 08:00\"", 4, "are no hours", "fri 18:00-mon 08:00"),
    ("[profile.default]\nallow = [{ what = \"SL\", schedule = \"n\" }]\n[schedule.n]\nhours = \"fri 18:00-mon 08:00\"\ndays = \"fri\"", 5, "days beside hours that name their days", "remove it"),
    ("[site]\nholidays = [\"JP\"]\nregion = \"JP\"\n[profile.default]\nallow = [{ what = \"SL\", schedule = \"n\" }]\n[schedule.n]\nhours = \"fri 18:00-mon 08:00\"\nholidays = \"exclude\"", 8, "cannot leave holidays out", "holidays = \"include\""),
    ("[profile.default]\nallow = [{ what = \"SL\", schedule = \"n\" }]\n[schedule.n]\nhours = \"18:00-25:00\"", 4, "are no hours", "18:00-08:00"),
    ("[profile.default]\nallow = [{ what = \"SL\", schedule = \"n\" }]\n[schedule.n]\ndays = \"mo-fr\"", 4, "\"mo-fr\" are no days", "mon-fri"),
    ("[profile.default]\nallow = [{ what = \"SL\", schedule = \"n\" }]\n[schedule.n]\nholidays = \"include\"", 4, "[site] has none", "holidays = [\"JP\"]"),
    ("[profile.default]\nallow = [{ what = \"SL\", schedule = \"n\" }]\n[schedule.n]\ndays = \"sat\"\ntime_zone = \"Asia/Tokio\"", 5, "\"Asia/Tokio\" is no time zone", "tzdata"),
    ("[site]\nholidays = [\"2026-02-30\"]", 2, "\"2026-02-30\" is no day", "\"JP\""),
    ("[site]\nholidays = \"JP\"", 2, "not a single string", "holidays = [\"JP\"]"),
    // Imports.
    ("[import.x]\nformat = \"csv\"", 1, "import.x has no file", "file = \"voipbl.txt\""),
    ("[import.x]\nfile = \"\"", 2, "\"\" names no file", "voipbl.txt"),
    ("[import.x]\nfile = \"l\"\nexpires = \"8d\"", 3, "\"8d\" is too long", "at most \"7d\""),
    ("[import.x]\nfile = \"l\"\nformat = \"xml\"", 3, "auto, lines, csv, apiban, voipbl", "write"),
    ("[import.x]\nurl = \"https://x\"\nfile = \"l\"", 2, "unknown key \"url\"", "known here are file, format, expires"),
    // Syntax.
    ("mode = monitor", 1, "not TOML", "double quotes"),
    ("mode = \"monitor\"\nmode = \"enforce\"", 2, "duplicate key", "keep one of the two"),
    ("[sip\nports = [5060]", 1, "not TOML", "[name]"),
    ("floor = true\n[site]\nregion = \"JP\n", 3, "not TOML", "double quotes"),
];

#[test]
fn each_problem_has_line_cause_and_remedy() {
    let mut wrong = Vec::new();
    for (text, line, cause, remedy) in CASES {
        let found = bad(text);
        let right = |p: &super::Problem| p.line == *line && p.message.contains(cause) && p.remedy.contains(remedy);
        if found.len() != 1 || !found.iter().all(right) {
            let found: Vec<_> = found.iter().map(ToString::to_string).collect();
            wrong.push(format!(
                "{text}\n  expected :{line}: {cause}; {remedy}\n  found    {}",
                found.join("\n           ")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn nine_problems_are_told_at_once_and_in_order() {
    let text = r#"mood = "monitor"
floor = 1
[sip]
ports = [5060, 5060]
tcp = "maybe"
[site]
region = "Nippon"
[profile.default]
block = ["232", "SL"]
limits = ["none-such"]
[limit.caller]
key = "source"
rate = "fast"
"#;
    let problems = read(text).expect_err("nine problems");
    let lines: Vec<_> = problems.problems.iter().map(|p| p.line).collect();
    assert_eq!(lines, [1, 2, 4, 5, 7, 9, 10, 11, 13], "{problems}");
    let shown = problems.to_string();
    assert_eq!(shown.lines().count(), 9);
    assert!(shown.lines().all(|line| line.starts_with("tollgate.toml:") && line.contains("; ")), "{shown}");
}

#[test]
fn syntax_errors_come_with_the_rest() {
    let found = bad("mode = monitor\nfloor = 3\n[sip]\nports = [0]\n");
    let lines: Vec<_> = found.iter().map(|p| p.line).collect();
    assert_eq!(lines, [1, 2, 4]);
}

#[test]
fn problems_without_number_are_counted() {
    let text: Vec<_> = (0..2_000).map(|i| format!("key{i} = 1")).collect();
    let text = text.join("\n");
    let problems = read(&text).expect_err("unknown keys");
    assert_eq!(problems.problems.len() + problems.more, 2_000);
    assert!(problems.to_string().ends_with("more"));
}

#[test]
fn columns_count_characters() {
    let found = bad("[site]\nregion = \"ZZ\"\n[profile.default]\nblock = [\"SL\", \"é\"]\nallow = [\"é\", \"232\"]");
    let places: Vec<_> = found.iter().map(|p| (p.line, p.column)).collect();
    assert_eq!(places, [(4, 16), (5, 10), (5, 15)]);
}

#[test]
fn warnings_tell_what_cannot_be_meant() {
    let site = "[site]\nregion = \"JP\"\nown_numbers = [\"+81312345678\"]\n";
    for (text, line, part) in [
        ("[profile.default]\nblock = [\"SL\"]\nallow = [\"SL\"]", 6, "on a tie block holds"),
        ("[profile.default]\nblock = [\"SL\", \"SL\"]", 5, "block has SL twice"),
        ("[profile.default]\nblock = [\"JP\"]", 5, "the profile's own country"),
        ("[profile.default]\nblock = [\"+8131\"]", 5, "your own number +81312345678"),
        ("[profile.a]\nblock = [\"SL\"]", 4, "profile.a names no source"),
        ("[interface.eth1]\nrole = \"lan\"\n[trunk.t]\nsources = [\"192.0.2.1\"]\ninterface = \"eth1\"", 8, "role lan"),
        (
            "[profile.default]\nlimits = [\"x\"]\n[limit.x]\nkey = \"all\"\nrate = \"1/s\"\nban = \"5m\"",
            9,
            "does not ban",
        ),
    ] {
        let found = warnings(&format!("{site}{text}\n"));
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(
            found[0].starts_with(&format!("tollgate.toml:{line}: ")) && found[0].contains(part),
            "{text}: {found:?}"
        );
    }
    let found = warnings(&format!("{site}[schedule.n]\ndays = \"sat\""));
    assert!(found.len() == 1 && found[0].contains("nothing uses schedule.n"), "{found:?}");
    let found = warnings(&format!(
        "{site}[profile.default]\nblock = [\"SL\"]\nallow = [{{ what = \"SL\", schedule = \"n\" }}]\n[schedule.n]\ndays = \"sat\""
    ));
    assert!(found.len() == 1 && found[0].contains("SL is in allow by schedule n and, at tollgate.toml:5"), "{found:?}");
    for (list, line, cause, remedy) in [
        (
            "block = [\"SL\", \"+23276\"]",
            5,
            "+23276 changes nothing: SL, at tollgate.toml:5, is in block too",
            "remove it",
        ),
        ("block = [\"+232\", \"SL\"]", 5, "+232 changes nothing: SL, at tollgate.toml:5", "remove it"),
        ("block = [\"US\",\n\"+1\"]", 5, "US changes nothing: +1, at tollgate.toml:6", "remove it"),
        ("block = [\"+7\", \"RU\"]", 5, "RU changes nothing: +7", "remove it"),
        ("block = [\"dial:0570\", \"dial:05\"]", 5, "dial:0570 changes nothing: dial:05", "remove it"),
        (
            "allow = [\"+44\", \"+4420\"]",
            5,
            "+4420 changes nothing: +44, at tollgate.toml:5, is in allow too",
            "remove it",
        ),
        (
            "block = [\"SL\"]\nallow = [\"+232\"]",
            6,
            "+232 is in allow and never decides: SL, at tollgate.toml:5, is in block",
            "one of the two",
        ),
        (
            "allow = [\"SL\"]\nblock = [\"+232\"]",
            5,
            "SL is in allow and never decides: +232, at tollgate.toml:6",
            "one of the two",
        ),
        (
            "block = [\"+232761234567890\"]",
            5,
            "+232761234567890 can never match: numbers that begin with +232 have at most",
            "write +232",
        ),
        ("block = [\"AQ\"]", 5, "AQ can never match: Antarctica has no numbers", "name the prefix"),
    ] {
        let (_, found) = read(&format!("{site}[profile.default]\n{list}\n")).expect("it loads");
        let right = |it: &Warning| it.0.line == line && it.0.message.contains(cause) && it.0.remedy.contains(remedy);
        assert!(found.len() == 1 && found.iter().all(right), "{list}: {found:?}");
    }
    for list in [
        "block = [\"+44\"]\nallow = [\"+4420\"]",
        "block = [\"+44\", \"+442079\"]\nallow = [\"+4420\"]",
        "block = [\"SL\"]\nallow = [\"+23276\"]",
        "block = [\"KZ\"]\nallow = [\"+7\"]",
        "block = [\"US\", \"CA\", \"+881\", \"dial:0570\", \"dial:0990\"]",
        "block = [\"US\"]\nallow = [\"+1212555\", \"+1\"]",
    ] {
        let found = warnings(&format!("{site}[profile.default]\n{list}\n"));
        assert_eq!(found, [""; 0], "{list}");
    }
    // What is inherited is told once, where it stands.
    let twice = "[profile.default]\nblock = [\"SL\", \"+232\"]\n[profile.a]\nsources = [\"192.0.2.1\"]\n";
    assert_eq!(warnings(&format!("{site}{twice}")).len(), 1);
    let found = warnings("mode = \"monitor\"");
    assert!(found.len() == 1 && found[0].starts_with("tollgate.toml: no region"), "{found:?}");
}
