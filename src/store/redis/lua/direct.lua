-- KEYS: keys. ARGV: 3 whether the server knows times to live of fields, 4 number of steps, then for each step
-- its kind ('set', 'unix_ms' or 'unix_s'), its number of fields and those; then for each key the values that
-- the 'set' steps give it. Steps have no field in common.
-- For each key a letter for each step, all in one word: Written, Done, Gone, or Odd, which is not for a script
-- to decide.
local KEYS, ARGV, call, pcall, format = KEYS, ARGV, redis.call, redis.pcall, string.format
local steps, fields, at = {}, {}, 5
local values = 0
for s = 1, tonumber(ARGV[4]) do
  local step = {sets = ARGV[at] == 'set', in_s = ARGV[at] == 'unix_s', first = #fields + 1}
  local count = tonumber(ARGV[at + 1])
  for f = 1, count do fields[#fields + 1] = ARGV[at + 1 + f] end
  step.last = #fields
  if step.sets then values = values + count end
  at = at + 2 + count
  steps[s] = step
end
local wanted = #fields
local pairs, used = {}, 0

local function set(step, found, from)
  local answer = 'D'
  for f = step.first, step.last do
    if not found[f] then
      pairs[used + 1], pairs[used + 2] = fields[f], ARGV[from + f - step.first]
      used = used + 2
      answer = 'W'
    end
  end
  return answer
end

local function convert(step, found)
  local began = used
  for f = step.first, step.last do
    local value = found[f]
    if value then
      -- No number of the new form is as long as a time of the old one.
      local ms = #value > 15 and unix_ms(value)
      if ms then
        if step.in_s then ms = floor(ms / 1000) end
        pairs[used + 1], pairs[used + 2] = fields[f], format('%d', ms)
        used = used + 2
      elseif #value > 15 or not find(value, '^[1-9]%d*$') then
        used = began
        return 'O'
      end
    end
  end
  return used > began and 'W' or 'D'
end

local answers, count = {}, 0
local plain = ARGV[3] ~= '1'
local first, second, third = fields[1], fields[2], fields[3]
-- One field is asked for without a list around it.
local single = {}
for k = FIRST, #KEYS do
  local key = KEYS[k]
  local found, any
  if wanted == 1 then
    any = pcall('HGET', key, first)
    found = single
    single[1] = any
    if any and type(any) == 'table' then found = any end
  elseif wanted == 2 then
    found = pcall('HMGET', key, first, second)
    any = found[1] or found[2]
  elseif wanted == 3 then
    found = pcall('HMGET', key, first, second, third)
    any = found[1] or found[2] or found[3]
  else
    found = pcall('HMGET', key, unpack(fields))
    for f = 1, wanted do any = any or found[f] end
  end
  local refused, gone = found.err, false
  if not refused and not any then gone = call('EXISTS', key) == 0 end
  local from = at
  used = 0
  for s = 1, #steps do
    local step = steps[s]
    local letter
    if refused then
      letter = 'O'
    elseif gone then
      letter = 'G'
    elseif step.sets then
      letter = set(step, found, from)
      from = from + step.last - step.first + 1
    else
      letter = convert(step, found)
    end
    count = count + 1
    answers[count] = letter
  end
  if used == 2 and plain then
    call('HSET', key, pairs[1], pairs[2])
  elseif used == 4 and plain then
    call('HSET', key, pairs[1], pairs[2], pairs[3], pairs[4])
  elseif used > 0 then
    put(key, pairs, used)
  end
  at = at + values
end
return table.concat(answers)
