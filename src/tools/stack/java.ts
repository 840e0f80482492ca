/** How the stack's Java processes are started. Heaps stay modest: two of them share a laptop with two databases. */
export const javaArgs = (heap: string, libs: string, properties: Readonly<Record<string, string>> = {}): string[] => [
  `-Xmx${heap}`,
  "-XX:+UseG1GC",
  "-XX:+ExitOnOutOfMemoryError",
  "-Djava.awt.headless=true",
  ...Object.entries(properties).map(([name, value]) => `-D${name}=${value}`),
  "-cp",
  `${libs}/*`,
];

/** A log4j2 configuration that logs to standard output. */
export const LOG4J = `<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="WARN">
  <Appenders><Console name="out" target="SYSTEM_OUT"><PatternLayout pattern="%d{ISO8601} %p %m (%c{1})%n"/></Console></Appenders>
  <Loggers>
    <!-- Every client prints its hundred settings at INFO, which buries what happened. -->
    <Logger name="org.apache.kafka.common.config.AbstractConfig" level="WARN"/>
    <!-- One line for every request to Connect's REST API. -->
    <Logger name="org.apache.kafka.connect.runtime.rest.RestServer" level="WARN"/>
    <Root level="INFO"><AppenderRef ref="out"/></Root>
  </Loggers>
</Configuration>
`;

/** A Java properties file; keys and values here hold no character that needs escaping. */
export const propertiesText = (properties: Readonly<Record<string, string | number | boolean>>): string =>
  `${Object.entries(properties)
    .map(([name, value]) => `${name}=${value}`)
    .join("\n")}\n`;
