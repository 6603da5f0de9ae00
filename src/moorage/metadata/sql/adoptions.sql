-- The rows of an adoption.

-- state --
SELECT state FROM adoptions WHERE path = $1;

-- taken --
SELECT path FROM adoptions WHERE path = ANY($1) AND state = 'taken';

-- claim --
INSERT INTO adoptions (path, state, holder, held_until) VALUES ($1, 'taking', $2, $3)
ON CONFLICT (path) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
WHERE adoptions.state = 'taking' AND adoptions.held_until < $4
RETURNING path;

-- Renews the claim, and holds its row to the end of the transaction.
-- hold --
UPDATE adoptions SET held_until = $3 WHERE path = $1 AND holder = $2 AND state = 'taking' RETURNING path;

-- take --
UPDATE adoptions SET state = 'taken', error = '', taken_at = $3, tags = $4, manifests = $5, left_out = $6,
    first_left_out = $7
WHERE path = $1 AND holder = $2 AND state = 'taking' RETURNING path;

-- give_back --
UPDATE adoptions SET error = $3, held_until = $4
WHERE path = $1 AND holder = $2 AND state = 'taking' RETURNING path;

-- begin --
INSERT INTO adoption_progress (id, began_at) VALUES (1, $1) ON CONFLICT (id) DO NOTHING;

-- progress --
SELECT began_at, repositories, taken_until, accepted_at, ended_at,
    (SELECT count(*) FROM adoptions WHERE state = 'taken'),
    (SELECT count(*) FROM adoptions WHERE state = 'taking'),
    (SELECT coalesce(sum(tags), 0) FROM adoptions),
    (SELECT coalesce(sum(manifests), 0) FROM adoptions),
    (SELECT coalesce(sum(left_out), 0) FROM adoptions),
    (SELECT count(*) FROM adoptions WHERE error <> '')
FROM adoption_progress;

-- ended --
SELECT 1 FROM adoption_progress WHERE ended_at IS NOT NULL;

-- taken_until --
SELECT taken_until FROM adoption_progress;

-- count --
UPDATE adoption_progress SET repositories = $1;

-- advance --
UPDATE adoption_progress SET taken_until = $1 WHERE taken_until < $1;

-- accept --
UPDATE adoption_progress SET accepted_at = $1 WHERE accepted_at IS NULL;

-- end --
UPDATE adoption_progress SET ended_at = $1
WHERE ended_at IS NULL AND NOT EXISTS (SELECT 1 FROM adoptions WHERE state <> 'taken')
    AND (accepted_at IS NOT NULL OR NOT EXISTS (SELECT 1 FROM adoptions WHERE left_out > 0))
RETURNING id;

-- left_out --
SELECT first_left_out FROM adoptions WHERE left_out > 0 ORDER BY path LIMIT $1;

-- faults --
SELECT path, error FROM adoptions WHERE error <> '' ORDER BY path LIMIT $1;
