-- When a key expires in Unix ms, as text; 0 for never.
local function expires_at(key)
  local at = redis.pcall('PEXPIRETIME', key)
  -- Before Redis 7.0: what is left, and the clock, where both were read within one millisecond.
  while type(at) == 'table' do
    local before, left, after = redis.call('TIME'), redis.call('PTTL', key), redis.call('TIME')
    local now = before[1] * 1000 + math.floor(before[2] / 1000)
    if now == after[1] * 1000 + math.floor(after[2] / 1000) then at = left < 0 and left or now + left end
  end
  return string.format('%.0f', math.max(at, 0))
end
