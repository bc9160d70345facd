"""Errors of stores, configuration and commands."""

TOLD = {
    "address_in_use": (
        "Another program listens on the address already.",
        "A server is running, or the port belongs to something else.",
        "stop the other one, or choose a port: campaignctl serve --port N (server.port)",
    ),
    "address_not_available": (
        "This machine has no such address to listen on.",
        "server.host names an address of another machine, or none that is set up here.",
        "set server.host to an address of this machine; 0.0.0.0 is all of them",
    ),
    "clock_skew": (
        "The clock of this machine and that of a store differ by more than 30 seconds.",
        "Nobody sets the clocks, or they are set from different sources.",
        "have both set by the same time servers (NTP); until then days, ages and sign-ins may be wrong",
    ),
    "configuration": (
        "The configuration is wrong, or a store refuses what it says.",
        "A key has a value it cannot have, a key that is needed is missing, or a password or name is not the store's.",
        "campaignctl config show says every value and its origin; campaignctl config validate FILE checks a file",
    ),
    "credentials_unreadable": (
        "Credentials of an account cannot be decrypted.",
        "They were sealed with another secrets.key, or their row was changed by hand.",
        "put the earlier key into secrets.ring, or give new ones: campaignctl accounts update N --credentials FILE",
    ),
    "declined": (
        "A question was answered with no, or there was nobody to ask.",
        "The command changes something for good, and asks first; without a terminal it needs --yes.",
        "run it again and answer yes, or add --yes",
    ),
    "directory_in_use": (
        "Another process has the embedded stores open.",
        "One process at a time owns a data directory: a server, a worker or another command.",
        "wait until it has finished, stop it, or ask the server that runs: campaignctl --api URL ...",
    ),
    "drift": (
        "Sums of a campaign are not what its raw records add up to.",
        "A store was restored or changed by hand, or a part of it was lost.",
        "campaignctl reaggregate --campaign N --wait makes them equal; campaignctl verify looks for the cause",
    ),
    "backup_damaged": (
        "The archive is not as campaignctl backup made it.",
        "The copy was cut off, a disk failed, or something changed it. Nothing was restored.",
        "copy it again from where it was kept, and compare the sizes; or restore an older backup",
    ),
    "directory_changed": (
        "A file of the data directory changed while it was archived.",
        "Another program wrote into the directory, without the lock that every campaignctl takes. No archive was made.",
        "see that no other program writes there, then take the backup again",
    ),
    "event_log_damaged": (
        "The file of the embedded event log is damaged.",
        "The disk failed, or something else wrote the file.",
        "keep a copy of the data directory, look at the disk, and restore a backup",
    ),
    "failed": (
        "Something did not work, and no narrower code fits.",
        "The message says what.",
        "read the message and its hint; campaignctl doctor looks at everything around it",
    ),
    "fenced": (
        "This process no longer owns the partition that it tried to commit.",
        "Another worker took the partition over while this one was slow. Nothing is lost and nothing counted twice.",
        "nothing: the new owner goes on; if it happens often, look at the worker's load and its pauses",
    ),
    "file": (
        "A file cannot be read or written.",
        "It is not there, or this user may not.",
        "check the path and its permissions",
    ),
    "internal_error": (
        "Something went wrong that nobody meant: a fault of the program.",
        "The log has the details: under the request_id on a server, in campaignctl.log of the data directory here.",
        "run the command again with --debug to see the details, and report them",
    ),
    "job_cancelled": (
        "The job that was waited for was cancelled.",
        "Somebody cancelled it.",
        "campaignctl jobs show N; start it again if it is still wanted",
    ),
    "lag_exceeded": (
        "Records wait to be counted, more or longer than was allowed.",
        "No worker runs, one is stuck, or more is sent than they count.",
        "campaignctl lag; start workers with campaignctl work; campaignctl doctor looks at the stores",
    ),
    "metadata_damaged": (
        "The file of the embedded metadata store is damaged.",
        "The disk failed, or something else wrote the file.",
        "keep a copy of the data directory, look at the disk, and restore a backup",
    ),
    "no_data_directory": (
        "The data directory is not there.",
        "Nothing was set up yet, or data_dir names another place than before.",
        "campaignctl init-schema (or campaignctl demo); campaignctl config show says where it is looked for",
    ),
    "no_terminal": (
        "The dashboard needs a terminal to draw on.",
        "Standard input or output is a file or a pipe, or TERM says dumb.",
        "run it in a terminal; for scripts: campaignctl insights -o json",
    ),
    "outside_tolerance": (
        "What was streamed and what was reported differ by more than was allowed.",
        "The hints beside each difference say what may be the cause: time zone, lateness, attribution, currency.",
        "campaignctl reconcile --campaign N shows every day; widen it with --tolerance where the cause is known",
    ),
    "partly_done": (
        "Some of what was asked is done and some is not.",
        "Records were refused, or some platforms failed.",
        "the answer, or the job's result (campaignctl jobs show N), says which and why; repeating is harmless",
    ),
    "schema_mismatch": (
        "The schema of a store is not the one of this program.",
        "The program is newer or older than the store, or the schema was changed by hand.",
        "campaignctl init-schema --check says what differs, campaignctl init-schema brings it up to date",
    ),
    "storage_full": (
        "The disk is full, or a store cannot be written. Nothing was taken.",
        "There is no space left, or the file system is read-only.",
        "free space, then send again what was refused; campaignctl doctor says how much is free",
    ),
    "topic_differs": (
        "A topic is there and is not as configured.",
        "It was made by something else, or the configuration changed since.",
        "campaignctl init-schema --check names each difference and its remedy; nothing is changed by itself",
    ),
    "topic_missing": (
        "A topic of the event log is not there.",
        "init-schema has not run yet, or the topic was deleted.",
        "campaignctl init-schema",
    ),
    "unavailable": (
        "A service cannot be reached now.",
        "It is down, frozen, busy, or the way to it is broken.",
        "try again in a moment; campaignctl doctor says which one and what to look at",
    ),
    "unknown_key": (
        "A key of the configuration is not known.",
        "It is misspelled, or of another version. A CA_ variable counts as a key.",
        "the message names the nearest known key; campaignctl config show lists all",
    ),
    "usage": (
        "The command line is wrong.",
        "An option is missing, unknown, or has a value it cannot have.",
        "campaignctl COMMAND --help",
    ),
    "wait_timed_out": (
        "What was waited for has not come about in the time given.",
        "It takes longer than --timeout. Nothing failed, and it goes on.",
        "wait again: campaignctl jobs wait N",
    ),
}
