-- SQL by hand.

-- stop
-- Has a running statement end. A user may always stop their own.
KILL QUERY WHERE Settings['log_comment'] = {log_comment:String} ASYNC;
