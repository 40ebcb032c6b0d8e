-- A time as RFC 3339 spells it, in Unix ms. Only the spelling that programs write: upper case, UTC, no leap
-- second. Nothing for any other; that one is read by a library, on the other side.
local find, byte, sub, floor = string.find, string.byte, string.sub, math.floor
local LENGTHS = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
-- Of the months that were met before: the ms at which each begins, and its days.
local begins, lengths = {}, {}
local function meet(month)
  begins[month] = false
  if not find(month, '^%d%d%d%d%-%d%d$') then return end
  local y, m = tonumber(sub(month, 1, 4)), tonumber(sub(month, 6, 7))
  local length = LENGTHS[m]
  if not length then return end
  if m == 2 and y % 4 == 0 and (y % 100 ~= 0 or y % 400 == 0) then length = 29 end
  -- Counted in years that begin in March.
  if m <= 2 then y = y - 1 end
  local era = floor(y / 400)
  local of_era = y - era * 400
  local of_year = floor((153 * ((m + 9) % 12) + 2) / 5)
  local days = era * 146097 + of_era * 365 + floor(of_era / 4) - floor(of_era / 100) + of_year - 719468
  begins[month], lengths[month] = days * 86400000, length
end
local function unix_ms(text)
  local month = sub(text, 1, 7)
  if begins[month] == nil then meet(month) end
  local ms = begins[month]
  if not ms then return end
  if not find(text, '^%-%d%dT%d%d:[0-5]%d:[0-5]%d%.?%d*Z$', 8) then return end
  local a, b, _, c, d, _, e, f, _, g, h, point, i, j, k = byte(text, 9, 23)
  local day, hour = a * 10 + b - 528, c * 10 + d - 528
  if day < 1 or day > lengths[month] or hour > 23 then return end
  if point == 46 then
    -- Digits end at the Z, and there is at least one.
    if i == 90 then return end
    ms = ms + i * 100 - 4800
    if j ~= 90 then
      ms = ms + j * 10 - 480
      if k ~= 90 then ms = ms + k - 48 end
    end
  elseif point ~= 90 then
    return
  end
  ms = ms + ((day * 24 - 24 + hour) * 60 + e * 10 + f - 528) * 60000 + (g * 10 + h - 528) * 1000
  -- Before 1973 a count of ms looks like one of seconds: left to the other side as well.
  if ms >= 100000000000 then return ms end
end
