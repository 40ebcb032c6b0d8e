-- KEYS: keys. ARGV: 3 whether the server knows times to live of fields, 4 number of fields, 5 a sign for each:
-- '=' it changes, '-' it goes, '+' it comes, '.' it is absent and stays so; 6... the fields, then for each key
-- their old values, then their new ones, nothing where there is none.
-- A key whose fields do not all hold the old values any more is left for the next pass. A field that comes out
-- of others gets the time to live that they had; where they had different ones, nothing is written.
local count = tonumber(ARGV[4])
local had, has = {}, {}
for f = 1, count do
  local sign = string.sub(ARGV[5], f, f)
  had[f] = sign == '=' or sign == '-'
  has[f] = sign == '=' or sign == '+'
end
local fields = {unpack(ARGV, 6, 5 + count)}
local at = 6 + count
local answers = {}

local function even(key, gone)
  if ARGV[3] ~= '1' then return true end
  local first
  for i = 1, #gone do
    local life = redis.call('HPEXPIRETIME', key, 'FIELDS', 1, gone[i])[1]
    if first and life ~= first then return false end
    first = life
  end
  return true
end

for k = FIRST, #KEYS do
  local key = KEYS[k]
  local found = redis.pcall('HMGET', key, unpack(fields))
  local answer = 'written'
  local changed, come, gone = {}, {}, {}
  for f = 1, count do
    if found[f] ~= (had[f] and ARGV[at + f - 1]) then
      answer = 'changed'
      break
    end
    if has[f] then
      local pairs = had[f] and changed or come
      pairs[#pairs + 1] = fields[f]
      pairs[#pairs + 1] = ARGV[at + count + f - 1]
    elseif had[f] then
      gone[#gone + 1] = fields[f]
    end
  end
  if answer == 'written' and not even(key, gone) then answer = 'uneven' end
  if answer == 'written' then
    if #changed > 0 then put(key, changed) end
    if #come > 0 then put(key, come, nil, gone[1]) end
    -- At the end: a hash without a field would be gone.
    if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
  end
  answers[#answers + 1] = answer
  at = at + 2 * count
end
return answers
