// The default validator would be loaded from the internet.
SwaggerUIBundle({ url: 'openapi.json', dom_id: '#swagger-ui', validatorUrl: null, docExpansion: 'list' });
