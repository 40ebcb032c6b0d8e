-- KEYS: keys. ARGV: 3 whether the server knows times to live of fields, 4 number of fields, 5... the fields,
-- then for each key their old values, then their new ones.
-- A key whose fields do not all hold the old values any more is left for the next pass.
local count = tonumber(ARGV[4])
local fields = {unpack(ARGV, 5, 4 + count)}
local at = 5 + count
local answers = {}
for k = FIRST, #KEYS do
  local found = redis.pcall('HMGET', KEYS[k], unpack(fields))
  local answer = 'written'
  local pairs = {}
  for f = 1, count do
    if found[f] ~= ARGV[at + f - 1] then
      answer = 'changed'
      break
    end
    pairs[2 * f - 1] = fields[f]
    pairs[2 * f] = ARGV[at + count + f - 1]
  end
  if answer == 'written' then put(KEYS[k], pairs) end
  answers[#answers + 1] = answer
  at = at + 2 * count
end
return answers
