-- KEYS: a source, and the record that it was removed. ARGV: 3 what tells the source as it was read: the SHA-1 of
-- its DUMP, when it expires, and the token of the run (or a word instead of the SHA-1 where the caller watches
-- it), 4 ms that the record lives.
local source, record = KEYS[FIRST], KEYS[FIRST + 1]
-- A repeated request whose first answer was lost: what has that name now is another key.
if redis.call('GET', record) == ARGV[3] then return {'written', ''} end
local sha, at = ARGV[3]:match('^(%w+):(%d+):')
if redis.call('EXISTS', source) == 0 then return {'gone', ''} end
if sha ~= 'watched' then
  local dump = redis.call('DUMP', source)
  if not dump or redis.sha1hex(dump) ~= sha or expires_at(source) ~= at then return {'changed', ''} end
end
redis.call('UNLINK', source)
redis.call('SET', record, ARGV[3], 'PX', ARGV[4])
return {'written', ''}
