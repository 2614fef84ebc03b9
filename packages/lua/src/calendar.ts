/** A calendar date and a time of day, without a zone. Months 1-12, days 1-31. */
export interface Civil {
  readonly year: number
  readonly month: number
  readonly day: number
  readonly hour: number
  readonly minute: number
  readonly second: number
}

export const monthNames = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const

export const dayNames = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const

const floorDiv = (a: number, b: number): number => Math.floor(a / b)

/**
 * Days since 1970-01-01 in the proleptic Gregorian calendar. Month and day may lie outside their ranges and then
 * carry over, as in "October 32".
 */
export function daysFromCivil(year: number, month: number, day: number): number {
  const monthIndex = month - 1
  const y0 = year + floorDiv(monthIndex, 12)
  const m = monthIndex - 12 * floorDiv(monthIndex, 12) + 1
  // Years start in March, so that the leap day is the last of its year.
  const y = m <= 2 ? y0 - 1 : y0
  const era = floorDiv(y, 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (m + (m > 2 ? -3 : 9)) + 2) / 5)
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468 + (day - 1)
}

export function civilFromDays(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468
  const era = floorDiv(shifted, 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1,
  }
}

/** Seconds since the epoch of a civil time read as UTC. Every field may carry over. */
export function civilToSeconds(civil: Civil): number {
  return (
    daysFromCivil(civil.year, civil.month, civil.day) * 86_400 + civil.hour * 3_600 + civil.minute * 60 + civil.second
  )
}

export function civilFromSeconds(seconds: number): Civil {
  const days = floorDiv(seconds, 86_400)
  const rest = seconds - days * 86_400
  return {
    ...civilFromDays(days),
    hour: Math.floor(rest / 3_600),
    minute: Math.floor((rest % 3_600) / 60),
    second: rest % 60,
  }
}

/** 0 is Sunday. */
export function weekday(civil: Civil): number {
  const days = daysFromCivil(civil.year, civil.month, civil.day)
  return (((days + 4) % 7) + 7) % 7
}

/** 1 is January 1st. */
export function dayOfYear(civil: Civil): number {
  return daysFromCivil(civil.year, civil.month, civil.day) - daysFromCivil(civil.year, 1, 1) + 1
}

export function daysInMonth(year: number, month: number): number {
  return daysFromCivil(year, month + 1, 1) - daysFromCivil(year, month, 1)
}
