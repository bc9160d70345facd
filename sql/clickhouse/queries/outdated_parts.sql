-- Parts that a merge has replaced, of the engine within a process. Those of a server go by themselves.

-- crowded
-- The tables that keep so many of them.
SELECT table FROM system.parts
WHERE database = currentDatabase() AND NOT active
GROUP BY table HAVING count() >= {least:UInt32}
ORDER BY table;

-- remove
-- Drops a partition that is never there, January of 1900: the engine removes every part that was replaced at its end.
ALTER TABLE {table:Identifier} DROP PARTITION ID '190001';
