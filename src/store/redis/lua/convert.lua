-- KEYS: 4... keys. ARGV: 4... for each key the number of its changes, then field, old and new value.
-- A field that does not hold the old value any more is left for the next pass.
local at = 4
local answers = {}
for k = 4, #KEYS do
  local answer = 'done'
  local changes = tonumber(ARGV[at])
  at = at + 1
  if redis.call('TYPE', KEYS[k]).ok ~= 'hash' then
    answer = 'changed'
    at = at + 3 * changes
  else
    for _ = 1, changes do
      if redis.call('HGET', KEYS[k], ARGV[at]) == ARGV[at + 1] then
        set(KEYS[k], ARGV[at], ARGV[at + 2])
        if answer == 'done' then answer = 'written' end
      else
        answer = 'changed'
      end
      at = at + 3
    end
  end
  answers[#answers + 1] = answer
end
return answers
