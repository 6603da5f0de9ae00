-- take --
INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
WHERE leases.holder = $2 OR leases.expires_at <= $4 OR leases.expires_at > $5
RETURNING expires_at;

-- release --
DELETE FROM leases WHERE name = $1 AND holder = $2;

-- holder --
SELECT holder FROM leases WHERE name = $1 AND expires_at > $2 AND expires_at <= $3;
