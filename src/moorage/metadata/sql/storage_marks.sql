-- known --
SELECT holder FROM leases WHERE name = $1;

-- add --
-- The row ends when the next mark is due; it has the marks themselves, the newest first.
INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE
SET holder = excluded.holder || ' ' || substr(leases.holder, 1, $4), expires_at = excluded.expires_at
WHERE leases.expires_at <= $5 OR leases.expires_at > excluded.expires_at
RETURNING 1;
