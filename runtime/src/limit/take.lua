-- One request of one client: whether it is within the rate, and how long until the client's quota is whole.
-- KEYS[1] has when that is, in microseconds. ARGV: what a request costs, what a client may owe; in microseconds. All are multiples
-- of 1/8, of which sums are exact.
local time = redis.call('TIME')
-- Since 2024: microseconds and their eighths then fit into a number for 35 years.
local now = (time[1] - 1704067200) * 1000000 + time[2]
local cost, tolerance = tonumber(ARGV[1]), tonumber(ARGV[2])
local whole = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local after = whole + cost
if after - now > tolerance then
  return {0, (whole - now) * 8}
end
redis.call('SET', KEYS[1], string.format('%.3f', after), 'PX', math.ceil((after - now) / 1000))
return {1, (after - now) * 8}
