-- KEYS: 4... keys. ARGV: 4... for each key the number of its changes, then field, old and new value of each:
-- a value behind '=', or nothing for an absent field. Where old and new are the same, nothing is written.
-- A key of which a field does not hold the old value any more is left for the next pass, all of it.
local at = 4
local answers = {}
local function is(key, field, old)
  local value = redis.call('HGET', key, field)
  if not value then return old == '' end
  return '=' .. value == old
end
for k = 4, #KEYS do
  local key, answer = KEYS[k], 'written'
  local first = at + 1
  at = first + 3 * tonumber(ARGV[at])
  if redis.call('TYPE', key).ok ~= 'hash' then answer = 'changed' end
  for i = first, at - 1, 3 do
    if answer == 'written' and not is(key, ARGV[i], ARGV[i + 1]) then answer = 'changed' end
  end
  if answer == 'written' and not change(key, first, at - 1) then answer = 'uneven' end
  answers[#answers + 1] = answer
end
return answers
