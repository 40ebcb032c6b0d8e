-- KEYS: 4 ledger, 5 history, 6 marker. ARGV: 3 field, 4 entry or nothing, 5 what becomes of the marker,
-- 6 its time, 7 its reason, 8 the id of this record, 9... values of the history entry, by name.
local previous = ''
-- As many as steps may run side by side.
for n, entry in ipairs(redis.call('XREVRANGE', KEYS[5], '+', '-', 'COUNT', 64)) do
  for i = 1, #entry[2], 2 do
    -- A repeated request whose first answer was lost.
    if entry[2][i] == 'record' and entry[2][i + 1] == ARGV[8] then return 0 end
    if n == 1 and entry[2][i] == 'hash' then previous = entry[2][i + 1] end
  end
end
if ARGV[4] ~= '' then redis.call('HSET', KEYS[4], ARGV[3], ARGV[4]) end
if ARGV[5] == 'applied' then
  redis.call('DEL', KEYS[6])
  redis.call('HSET', KEYS[6], 'status', 'applied', 'applied_at', ARGV[6])
elseif ARGV[5] == 'not_applicable' then
  redis.call('DEL', KEYS[6])
  redis.call('HSET', KEYS[6], 'status', 'not_applicable', 'checked_at', ARGV[6], 'reason', ARGV[7])
elseif ARGV[5] == 'gone' then
  redis.call('DEL', KEYS[6])
end
local fields = {}
local text = #previous .. ':' .. previous
for i = 9, #ARGV, 2 do
  fields[#fields + 1] = ARGV[i]
  fields[#fields + 1] = ARGV[i + 1]
  text = text .. #ARGV[i + 1] .. ':' .. ARGV[i + 1]
end
fields[#fields + 1] = 'record'
fields[#fields + 1] = ARGV[8]
fields[#fields + 1] = 'previous'
fields[#fields + 1] = previous
fields[#fields + 1] = 'hash'
fields[#fields + 1] = redis.sha1hex(text)
redis.call('XADD', KEYS[5], '*', unpack(fields))
return 1
